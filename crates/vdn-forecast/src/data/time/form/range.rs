//! Ranges of dates: a row of a week or an hour may be told by both ends.

use super::Moment;
use crate::data::time::DAY;

/// What stands between both ends, also several times, where dates have it, too.
const BETWEEN: [&str; 9] = [" - ", " \u{2013} ", " to ", " bis ", "..", "/", "--", "-", "\u{2013}"];

/// Digits that two dates have at least.
const DIGITS: usize = 8;

/// Whether a text has what two dates have.
pub(super) fn may_be(text: &str) -> bool {
    text.len() <= super::LONGEST
        && text.bytes().filter(u8::is_ascii_digit).count() >= DIGITS
        && BETWEEN.iter().any(|sign| text.contains(sign))
}

/// The first end of a range, where both are dates that `read` reads and the second is not before
/// the first. The second one may be a time of the same day, or a duration (`P7D`).
pub(super) fn start(text: &str, read: impl Fn(&str) -> Option<Moment>) -> Option<Moment> {
    if !may_be(text) {
        return None;
    }
    let between = |sign: &str, at: usize| {
        let (first, last) = (text[..at].trim(), text[at + sign.len()..].trim());
        let from = read(first)?;
        let is_duration = last.starts_with('P') && last.ends_with(|c: char| c.is_ascii_uppercase());
        if is_duration && last.contains(|c: char| c.is_ascii_digit()) {
            return Some(from);
        }
        let on_this_day = || read(&format!("{} {last}", first.rsplit_once([' ', 'T'])?.0));
        match read(last) {
            Some(to) => (from.clock <= to.clock).then_some(from),
            // The hour before midnight.
            None => on_this_day()
                .filter(|to| from.clock <= to.clock || to.clock % DAY == 0)
                .map(|_| from),
        }
    };
    BETWEEN.iter().find_map(|sign| {
        let places: Vec<usize> = text.match_indices(sign).map(|(at, _)| at).collect();
        let middle = places.get(places.len() / 2).filter(|_| places.len() % 2 == 1);
        middle.into_iter().chain(places.last()).find_map(|at| between(sign, *at))
    })
}
