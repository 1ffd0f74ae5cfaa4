//! Ranges of dates: a file may give the start and the end of a row's week or hour.

use super::Moment;
use crate::data::time::DAY;

/// The separators between the two ends. A text may contain one several times, because dates contain
/// some of them, too.
const BETWEEN: [&str; 9] = [" - ", " \u{2013} ", " to ", " bis ", "..", "/", "--", "-", "\u{2013}"];

/// The minimum number of digits in two dates.
const DIGITS: usize = 8;

/// Whether a text has enough digits, and a separator, to be a range of dates.
pub(super) fn may_be(text: &str) -> bool {
    text.len() <= super::LONGEST
        && text.bytes().filter(u8::is_ascii_digit).count() >= DIGITS
        && BETWEEN.iter().any(|sign| text.contains(sign))
}

/// Returns the start of a range if `read` parses both ends and the end is not before the start. The
/// end may also be a time on the same day, or a duration (`P7D`).
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
            // The end may also be midnight, for the last hour of a day.
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
