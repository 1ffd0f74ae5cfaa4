//! Dates that stand in several columns: year, month and day, or a date and its time of day.

use crate::data::read::sample::Sample;
use crate::data::time::DateForm;

/// Year, month and so on in columns of their own.
pub(super) fn calendar_parts(samples: &[Sample<'_>]) -> Option<(Vec<usize>, Vec<DateForm>)> {
    let of = |name: &str, low: i64, high: i64| {
        let sample = samples.iter().find(|s| s.name.eq_ignore_ascii_case(name))?;
        let numbers = sample.integers()?;
        let fits = numbers.iter().all(|n| (low..=high).contains(n)) && !numbers.is_empty();
        fits.then_some(sample.column)
    };
    let mut columns = vec![of("year", 1000, 2999)?, of("month", 1, 12)?];
    let mut pattern = "%Y %m".to_owned();
    let smaller = [("day", 1, 31, " %d"), ("hour", 0, 23, " %H"), ("minute", 0, 59, " %M")];
    for (name, low, high, text) in smaller {
        let Some(column) = of(name, low, high) else { break };
        columns.push(column);
        pattern.push_str(text);
    }
    Some((columns, vec![DateForm::Pattern(pattern)]))
}

/// Columns that repeat a part of the dates, under its name: the month, the hour.
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
    let parts: [(&str, Part); 6] = [
        ("year", |at| i64::from(at.year())),
        ("quarter", |at| i64::from((at.month() + 2) / 3)),
        ("month", |at| i64::from(at.month())),
        ("day", |at| i64::from(at.day())),
        ("hour", |at| i64::from(at.hour())),
        ("minute", |at| i64::from(at.minute())),
    ];
    let repeats = |sample: &&Sample<'_>| {
        let part = parts.iter().find(|(name, _)| sample.name.eq_ignore_ascii_case(name));
        let numbers = sample.integers().filter(|numbers| numbers.len() == dates.len());
        part.zip(numbers).is_some_and(|((_, part), numbers)| {
            numbers.iter().zip(&dates).all(|(number, at)| part(at) == *number)
        })
    };
    samples.iter().filter(repeats).map(|sample| sample.column).filter(|c| c != time).collect()
}

/// A column with the time of day beside one with the date, and the forms of both together.
pub(super) fn time_of_day(
    samples: &[Sample<'_>],
    date: usize,
    forms: &[DateForm],
) -> Option<(usize, Vec<DateForm>)> {
    let dates = &samples[date].texts;
    if samples[date].is_numeric() || !forms.iter().all(|form| form.is_of_days(dates)) {
        return None;
    }
    let named = |sample: &&Sample<'_>| {
        let lower = sample.name.to_lowercase();
        ["time", "hour", "zeit", "uhrzeit", "hora", "heure"].contains(&lower.as_str())
            && sample.texts.len() == dates.len()
    };
    let time = samples.iter().find(named)?;
    let joined: Vec<String> =
        dates.iter().zip(&time.texts).map(|(date, time)| format!("{date} {time}")).collect();
    let texts: Vec<&str> = joined.iter().map(String::as_str).collect();
    let forms = DateForm::of_texts(&texts);
    (!forms.is_empty()).then_some((time.column, forms))
}
