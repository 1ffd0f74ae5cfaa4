//! Detection of dates written as numbers: years, eight-digit days, seconds since 1970, and others.
//! Numbers in the right range may be values, so the column's name and the order of its rows also
//! count.

use crate::data::read::sample::Sample;
use crate::data::time::{DAY, DateForm, Moment};
use std::collections::HashSet;

/// Dates of digits only: the smallest, the largest, and the pattern.
const DIGITS: [(i64, i64, &str); 7] = [
    (19_000_101, 21_001_231, "%Y%m%d"),
    (190_001, 210_012, "%Y%m"),
    (190_001, 210_053, "%G%V"),
    (1_900_010_100, 2_100_123_123, "%Y%m%d%H"),
    (190_001_010_000, 210_012_312_359, "%Y%m%d%H%M"),
    (19_000_101_000_000, 21_001_231_235_959, "%Y%m%d%H%M%S"),
    (1_900_001, 2_100_366, "%Y%j"),
];

/// A date of digits with a two-digit year. Only the column's name distinguishes it from other
/// numbers.
const SHORT: &str = "%y%m%d";

/// The minimum number of values for which a column of whole minutes is not a coincidence.
const MINUTES: usize = 10;

/// Returns the possible date forms of a numeric column.
pub(super) fn forms(sample: &Sample<'_>) -> Vec<DateForm> {
    match sample.integers() {
        Some(numbers) => whole(sample, &numbers),
        None => sample.numbers().map_or_else(Vec::new, |numbers| fractions(sample, &numbers)),
    }
}

/// Whether the numbers strictly increase, or strictly decrease.
pub(super) fn is_monotone(numbers: &[f64]) -> bool {
    let rises = numbers.windows(2).all(|pair| pair[1] > pair[0]);
    numbers.len() > 2 && (rises || numbers.windows(2).all(|pair| pair[1] < pair[0]))
}

/// Whether a column is strictly monotone and named as a time. A name that only times have is
/// enough. If the name only begins or ends with `date` or `time` (`datenum`), the steps must also
/// be equal.
pub(super) fn looks_like_time(sample: &Sample<'_>) -> bool {
    let Some(numbers) = sample.numbers().filter(|numbers| is_monotone(numbers)) else {
        return false;
    };
    let first = numbers[1] - numbers[0];
    let lower = sample.name.to_lowercase();
    let named =
        ["date", "time"].iter().any(|word| lower.starts_with(word) || lower.ends_with(word));
    let equal = |pair: &[f64]| (pair[1] - pair[0] - first).abs() <= 1e-6 * first.abs();
    sample.is_a_time_word() || sample.is_called_a_date() || (named && numbers.windows(2).all(equal))
}

/// Whether the numbers are Unix times within a year of these dates, row by row.
pub(super) fn is_near(sample: &Sample<'_>, dates: &[Moment]) -> bool {
    let numbers =
        sample.numbers().filter(|numbers| numbers.len() == dates.len()).unwrap_or_default();
    let (low, high) = range(&numbers);
    let Some(form) = unix(low, high).filter(|_| !numbers.is_empty()) else { return false };
    let near = |(text, date): (&&str, &Moment)| {
        form.parse(text).is_some_and(|at| (at.clock - date.clock).abs() < 366 * DAY)
    };
    sample.texts.iter().zip(dates).all(near)
}

fn range(numbers: &[f64]) -> (f64, f64) {
    let fold = |f: fn(f64, f64) -> f64, from| numbers.iter().copied().fold(from, f);
    (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
}

/// Returns the form of Unix times (in seconds, or thousandths and so on of them) whose plausible
/// range contains these numbers.
fn unix(low: f64, high: f64) -> Option<DateForm> {
    let parts = [1, 1_000, 1_000_000, 1_000_000_000];
    let of =
        |&per_second: &i64| low >= 1e8 * per_second as f64 && high <= 4.1e9 * per_second as f64;
    parts.into_iter().find(of).map(|per_second| DateForm::Unix { per_second })
}

fn whole(sample: &Sample<'_>, numbers: &[i64]) -> Vec<DateForm> {
    let named = sample.is_named_like_time();
    // Equal steps from row to row, in either direction. They are evidence without a telling name.
    let first = numbers.get(1).map_or(0, |second| second.wrapping_sub(numbers[0]));
    let steps = numbers.windows(2).filter(|p| p[1].wrapping_sub(p[0]) == first).count();
    let regular = first != 0 && numbers.len() > 2 && 10 * steps >= 9 * (numbers.len() - 1);
    let (low, high) = numbers.iter().fold((i64::MAX, i64::MIN), |(a, b), &n| (a.min(n), b.max(n)));
    let within = |least: i64, most: i64| least <= low && high <= most;
    let read = |form: &DateForm| sample.texts.iter().all(|text| form.parse(text).is_some());
    let weeks =
        sample.words().iter().any(|word| ["week", "yearweek", "yw"].contains(&word.as_str()));
    for (least, most, pattern) in DIGITS {
        let form = DateForm::Pattern(pattern.to_owned());
        let sorted = || sample.column == 0 && numbers.is_sorted();
        let skip = (pattern == "%G%V" && !named) || (pattern == "%Y%m" && weeks);
        if within(least, most) && !skip && (named || sorted()) && read(&form) {
            return vec![form];
        }
    }
    let short = DateForm::Pattern(SHORT.to_owned());
    if named && within(10_101, 991_231) && different(numbers) && read(&short) {
        return vec![short];
    }
    if within(1000, 2999)
        && (sample.ends_like_time()
            || (sample.column == 0 && regular && first.abs() == 1 && within(1500, 2100)))
    {
        return vec![DateForm::Year];
    }
    let floats = || numbers.iter().map(|&n| n as f64).collect::<Vec<f64>>();
    if let Some(form) = unix(low as f64, high as f64)
        && let DateForm::Unix { per_second } = form
    {
        // Random numbers are not whole minutes apart.
        let minutes = |n: &i64| (n - numbers[0]) % (60 * per_second) == 0;
        let minutes = numbers.len() >= MINUTES && numbers.iter().all(minutes) && first != 0;
        let steps = regular && first % (60 * per_second) == 0;
        if sample.ends_like_time() || steps || (minutes && is_monotone(&floats())) {
            return vec![form];
        }
    }
    if within(20_000, 60_000) && is_called_a_day(sample) {
        return vec![DateForm::SerialDay];
    }
    // Counted steps, in a column with a name of times.
    let distinct: HashSet<&i64> = numbers.iter().collect();
    let counted = sample.is_called_a_date() && distinct.len() > 1;
    let rises = || sample.is_a_time_word() && is_monotone(&floats());
    if counted || rises() { vec![DateForm::Count] } else { Vec::new() }
}

fn different(numbers: &[i64]) -> bool {
    let distinct: HashSet<&i64> = numbers.iter().collect();
    distinct.len() == numbers.len()
}

/// Whether the name is a word for days, or ends with a word for dates. Values of 20 000 to 60 000
/// in a column such as `load_day_ahead` are not dates.
fn is_called_a_day(sample: &Sample<'_>) -> bool {
    let words = sample.words();
    let day = ["day", "days", "datum", "fecha", "tag"];
    let Some(last) = words.last().map(String::as_str) else { return false };
    let date = last.starts_with("date") || last.ends_with("date");
    words.len() == 1 && day.contains(&last) || (date && !["update", "candidate"].contains(&last))
}

fn fractions(sample: &Sample<'_>, numbers: &[f64]) -> Vec<DateForm> {
    let named = sample.is_named_like_time();
    let (low, high) = range(numbers);
    if let Some(form) = unix(low, high).filter(|_| sample.ends_like_time()) {
        return vec![form];
    }
    if low >= 20_000.0 && high <= 60_000.0 && is_called_a_day(sample) {
        return vec![DateForm::SerialDay];
    }
    if !named || low < 1000.0 || high >= 3000.0 || !is_monotone(numbers) {
        return Vec::new();
    }
    // `1990.01` to `1990.12` are months; fractions of a year would include `.00`.
    let months = DateForm::Pattern("%Y.%m".to_owned());
    let two = |text: &&str| text.len() == 7 && months.parse(text).is_some();
    if sample.texts.iter().all(two) {
        return vec![months];
    }
    let mut steps: Vec<f64> = numbers.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps[steps.len() / 2];
    let of = |&per_year: &i64| {
        let step = 1.0 / per_year as f64;
        // A quarter with three decimals is exact. A month is 0.083 or 0.084, or has 28 to 31 days.
        let spread = if per_year == 12 { 0.1 } else { 0.02 };
        let usual = (usual - step).abs() <= spread * step;
        let form = DateForm::DecimalYear { per_year };
        let mut read: Vec<_> = sample.texts.iter().map(|text| form.parse(text)).collect();
        read.dedup();
        usual && read.len() == numbers.len() && read.iter().all(Option::is_some)
    };
    let found = [1, 4, 12].into_iter().find(of);
    found.map(|per_year| DateForm::DecimalYear { per_year }).into_iter().collect()
}
