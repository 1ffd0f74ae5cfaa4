//! Parses quarters and fiscal years.

use super::{Moment, four_digits, moment};
use jiff::civil::Date;

/// Parses a year and a quarter in either order, with a Q or a separator between them.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let trim = |part: &str| part.trim_matches([' ', '-', '_', ':', '/', '.', '\'']).to_owned();
    let (year, quarter) = match text.split_once(['Q', 'q']) {
        Some((before, after)) => match (trim(before), trim(after)) {
            (before, after) if before.is_empty() => {
                let (quarter, year) = after.split_at_checked(1)?;
                // `Q180` is not a quarter.
                let parted = !year.starts_with(|c: char| c.is_ascii_digit()) || year.len() == 4;
                (Some(trim(year)).filter(|_| parted)?, quarter.to_owned())
            }
            (before, after) if before.len() == 1 => (after, before),
            both => both,
        },
        None => {
            let (year, quarter) = text.split_at_checked(4)?;
            // Accepts `2020-1`, but neither `20201` nor `2020-01`.
            let quarter = quarter.strip_prefix([' ', '-', ':', '/'])?;
            let quarter = Some(quarter.to_owned()).filter(|q| q.len() == 1)?;
            let date = date(four_digits(year)?, &quarter)?;
            return moment(date.at(0, 0, 0, 0), None);
        }
    };
    let year = trim(without_fiscal(&year).unwrap_or(&year));
    let year = four_digits(&year).or_else(|| two_digits(&year))?;
    moment(date(year, &quarter)?.at(0, 0, 0, 0), None)
}

fn date(year: i16, quarter: &str) -> Option<Date> {
    let quarter: i8 = quarter.parse().ok().filter(|q| (1..=4).contains(q))?;
    Date::new(year, 3 * quarter - 2, 1).ok()
}

/// Parses a fiscal year: `FY2020`, `FY20`, or the two calendar years that it spans, `2019/20`. Then
/// the first of them is returned.
pub(super) fn fiscal_year(text: &str) -> Option<i16> {
    let named = without_fiscal(text);
    let years = named.unwrap_or(text);
    if let Some((first, second)) = years.split_once(['/', '-', '\u{2013}']) {
        let (first, second) = (first.trim(), second.trim());
        let year = four_digits(first)?;
        let next = four_digits(second) == Some(year + 1)
            || (two_digits(second).is_some() && second.parse() == Ok((year + 1) % 100));
        return next.then_some(year);
    }
    let year = named?;
    four_digits(year).or_else(|| two_digits(year))
}

/// Returns the text after `FY`.
fn without_fiscal(text: &str) -> Option<&str> {
    let year = text.strip_prefix("FY").or_else(|| text.strip_prefix("fy"))?;
    Some(year.trim_start_matches([' ', '-', '_', '\'']))
}

/// Parses a year of two digits: 50 to 99 are 1950 to 1999, lower numbers are after 2000.
fn two_digits(text: &str) -> Option<i16> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let year: i16 = text.parse().ok().filter(|_| digits)?;
    Some(if year < 50 { 2000 + year } else { 1900 + year })
}
