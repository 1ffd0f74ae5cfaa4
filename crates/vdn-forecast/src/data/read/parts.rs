//! Dates in several columns: year, month and day, or a date and its time of day.

use crate::data::read::sample::Sample;
use crate::data::time::DateForm;
use std::collections::HashSet;

/// The usual names of columns with one part of a date.
const YEARS: [&str; 11] =
    ["year", "yr", "yyyy", "jahr", "fy", "jaar", "annee", "ann\u{e9}e", "ano", "a\u{f1}o", "anno"];
const QUARTERS: [&str; 3] = ["quarter", "qtr", "q"];
const MONTHS: [&str; 10] =
    ["month", "mo", "mon", "mm", "mnth", "monat", "maand", "mois", "mes", "mese"];
const WEEKS: [&str; 4] = ["week", "wk", "isoweek", "weekofyear"];
const DAYS: [&str; 5] = ["day", "dy", "dd", "dayofmonth", "tag"];
const DAYS_OF_YEAR: [&str; 5] = ["doy", "dayofyear", "yday", "jday", "julian"];
const HOURS: [&str; 9] =
    ["hour", "hr", "hh", "he", "hourending", "hourbeginning", "hourofday", "stunde", "heure"];
const WEEKDAYS: [&str; 4] = ["dayofweek", "weekday", "dow", "wday"];
const MINUTES: [&str; 2] = ["minute", "mi"];

/// Returns the columns with year, month and so on, and their joint date forms.
pub(super) fn calendar_parts(samples: &[Sample<'_>]) -> Option<(Vec<usize>, Vec<DateForm>)> {
    let of = |names: &[&str], low: i64, high: i64| {
        let fits = |sample: &&Sample<'_>| {
            let numbers = sample.integers().filter(|numbers| !numbers.is_empty());
            names.contains(&sample.words().concat().as_str())
                && numbers.is_some_and(|all| all.iter().all(|n| (low..=high).contains(n)))
        };
        samples.iter().find(fits).map(|sample| sample.column)
    };
    let year = of(&YEARS, 1000, 2999)?;
    let pattern = |text: &str| vec![DateForm::Pattern(text.to_owned())];
    let Some(month) = of(&MONTHS, 1, 12) else {
        // If there is a quarter, week or day of the year, a year has several rows.
        let years: HashSet<&&str> = samples[year].texts.iter().collect();
        if years.len() == samples[year].texts.len() {
            return None;
        }
        if let Some((month, name)) = month_names(samples) {
            return Some((vec![year, month], pattern(&format!("%Y {name}"))));
        }
        if let Some(part) = samples.iter().find(|part| reads_all(part, "2000 ", &["M%m"])) {
            return Some((vec![year, part.column], pattern("%Y M%m")));
        }
        let quarters = |text: &str| text.starts_with(['Q', 'q']);
        let named = |part: &&Sample<'_>| {
            let read = |text: &str| DateForm::Quarter.parse(&format!("2000 {text}")).is_some();
            !part.texts.is_empty() && part.texts.iter().all(|text| quarters(text) && read(text))
        };
        if let Some(part) = samples.iter().find(named) {
            return Some((vec![year, part.column], vec![DateForm::Quarter]));
        }
        if let Some(day) = of(&DAYS_OF_YEAR, 1, 366) {
            return Some((vec![year, day], pattern("%Y %j")));
        }
        if let Some(quarter) = of(&QUARTERS, 1, 4) {
            return Some((vec![year, quarter], vec![DateForm::Quarter]));
        }
        return of(&WEEKS, 1, 53).map(|week| (vec![year, week], pattern("%G %V")));
    };
    let mut columns = vec![year, month];
    let mut text = "%Y %m".to_owned();
    let smaller: [(&[&str], i64, i64, &str); 3] =
        [(&DAYS, 1, 31, " %d"), (&HOURS, 0, 24, " %H"), (&MINUTES, 0, 59, " %M")];
    for (names, low, high, part) in smaller {
        let Some(column) = of(names, low, high) else { break };
        columns.push(column);
        text.push_str(part);
    }
    Some((columns, pattern(&text)))
}

/// Whether a column is named as a part of a year, a month or a day.
pub(super) fn is_called_a_part(sample: &Sample<'_>) -> bool {
    let name = sample.words().concat();
    let parts: [&[&str]; 7] =
        [&QUARTERS, &MONTHS, &WEEKS, &DAYS, &HOURS, &MINUTES, &["period", "time", "halfyear"]];
    parts.iter().any(|names| names.contains(&name.as_str()))
}

/// A column of months by their names, and the pattern of these.
fn month_names(samples: &[Sample<'_>]) -> Option<(usize, &'static str)> {
    samples.iter().find_map(|sample| {
        let name = ["%b", "%B"].into_iter().find(|name| reads_all(sample, "2000 ", &[name]))?;
        Some((sample.column, name))
    })
}

/// Whether a text is the name of a month.
pub(super) fn is_month(text: &str) -> bool {
    let of = |name: &str| DateForm::Pattern(format!("%Y {name}"));
    ["%b", "%B"].iter().any(|name| of(name).parse(&format!("2000 {text}")).is_some())
}

/// Whether every cell matches one of the patterns for a part of a date.
fn reads_all(sample: &Sample<'_>, before: &str, patterns: &[&str]) -> bool {
    let pattern = match before.is_empty() {
        true => "",
        false => "%Y ",
    };
    let forms: Vec<DateForm> =
        patterns.iter().map(|part| DateForm::Pattern(format!("{pattern}{part}"))).collect();
    let of = |text: &&str| {
        let text = format!("{before}{text}");
        forms.iter().any(|form| form.parse(&text).is_some())
    };
    !sample.texts.is_empty() && sample.is_text() && sample.texts.iter().all(of)
}

/// Whether all cells are times of day, such as `18:30`.
fn is_time_of_day(sample: &Sample<'_>) -> bool {
    let day = DateForm::Pattern("%Y-%m-%d %H:%M".to_owned());
    let clock = |text: &&str| {
        let forms = DateForm::of_texts(&[&format!("2000-01-01 {text}")]);
        !forms.is_empty() && (text.contains([':', 'h']) || day.parse(text).is_some())
    };
    let few = |step: usize| sample.texts.iter().step_by(step.max(1));
    !sample.texts.is_empty() && sample.is_text() && few(sample.texts.len() / 20).all(clock)
}

/// Whether the cells are a part of dates (times of day, months or weekdays), which cannot name
/// series.
pub(super) fn is_part_of_dates(sample: &Sample<'_>) -> bool {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let weekday = |text: &&str| {
        let lower = text.to_lowercase();
        let short = lower.get(..3).unwrap_or_default();
        NAMES.contains(&short) && (lower.len() <= 5 || lower.ends_with("day"))
    };
    sample.texts.iter().all(weekday)
        || reads_all(sample, "2000 ", &["%b", "%B"])
        || is_time_of_day(sample)
}

/// Returns the columns that repeat a part of the dates under a usual name, such as the month or the
/// hour.
pub(super) fn parts_of(samples: &[Sample<'_>], time: &[usize], form: &DateForm) -> Vec<usize> {
    let [time] = time else { return Vec::new() };
    let dates = samples[*time].texts.iter().map(|text| form.parse(text));
    let Some(dates) = dates
        .map(|moment| crate::data::time::datetime_of(moment?.clock))
        .collect::<Option<Vec<_>>>()
    else {
        return Vec::new();
    };
    type Part = fn(&jiff::civil::DateTime) -> i64;
    let parts: [(&[&str], Part); 11] = [
        (&YEARS, |at| i64::from(at.year())),
        (&QUARTERS, |at| i64::from((at.month() + 2) / 3)),
        (&MONTHS, |at| i64::from(at.month())),
        (&WEEKS, |at| i64::from(at.date().iso_week_date().week())),
        (&DAYS, |at| i64::from(at.day())),
        (&DAYS_OF_YEAR, |at| i64::from(at.day_of_year())),
        (&HOURS, |at| i64::from(at.hour())),
        (&MINUTES, |at| i64::from(at.minute())),
        // Weekdays start at Monday or Sunday, and are counted from 0 or 1.
        (&WEEKDAYS, |at| i64::from(at.weekday().to_monday_zero_offset())),
        (&WEEKDAYS, |at| i64::from(at.weekday().to_sunday_zero_offset())),
        (&WEEKDAYS, |at| i64::from(at.weekday().to_monday_one_offset())),
    ];
    let repeats = |sample: &&Sample<'_>| {
        let name = sample.words().concat();
        let named = parts.iter().filter(|(names, _)| names.contains(&name.as_str()));
        let numbers = sample.integers().filter(|numbers| numbers.len() == dates.len());
        let is = |numbers: &[i64], part: Part| {
            numbers.iter().zip(&dates).all(|(number, at)| part(at) == *number)
        };
        numbers.is_some_and(|numbers| named.into_iter().any(|(_, part)| is(&numbers, *part)))
    };
    samples.iter().filter(repeats).map(|sample| sample.column).filter(|c| c != time).collect()
}

/// Joins a date and its time of day. The time may be an hour with a fraction, such as `5.0`.
fn joined(date: &str, time: &str) -> String {
    format!("{} {}", without_fraction(date), without_fraction(time))
}

/// Strips the fraction of a part that is written as `1959.0`.
pub(super) fn without_fraction(part: &str) -> &str {
    part.strip_suffix(".0").unwrap_or(part)
}

/// Returns the column with the time of day for a date column, and the forms of both joined.
pub(super) fn time_of_day(
    samples: &[Sample<'_>],
    date: usize,
    forms: &[DateForm],
) -> Option<(usize, Vec<DateForm>)> {
    let dates = &samples[date].texts;
    if !forms.iter().all(|form| form.has_days() && form.is_of_days(dates)) {
        return None;
    }
    let repeated = || {
        let different: HashSet<&&str> = dates.iter().collect();
        different.len() < dates.len()
    };
    let fits = |sample: &&Sample<'_>| {
        let words = sample.words().concat();
        let named = ["time", "zeit", "uhrzeit", "hora"].contains(&words.as_str());
        let hours = || {
            let numbers = sample.integers();
            repeated()
                && HOURS.contains(&words.as_str())
                && numbers.is_some_and(|all| all.iter().all(|n| (0..=24).contains(n)))
        };
        sample.column != date
            && sample.texts.len() == dates.len()
            && (named || hours() || (repeated() && is_time_of_day(sample)))
    };
    samples.iter().filter(fits).find_map(|time| {
        let joined: Vec<String> =
            dates.iter().zip(&time.texts).map(|(date, time)| joined(date, time)).collect();
        let texts: Vec<&str> = joined.iter().map(String::as_str).collect();
        let joined = match &forms[0] {
            DateForm::Pattern(pattern) if samples[date].is_numeric() => {
                let form = DateForm::Pattern(format!("{pattern} %H"));
                let all = texts.iter().all(|text| form.parse(text).is_some());
                if all { vec![form] } else { Vec::new() }
            }
            _ => DateForm::of_texts(&texts),
        };
        (!joined.is_empty()).then_some((time.column, joined))
    })
}
