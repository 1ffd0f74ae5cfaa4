//! Dates as numbers: seconds since 1970, days since 1899-12-30, years with a fraction.

use super::Moment;
use crate::data::time::{DAY, SECOND, micros_of};
use jiff::civil::Date;

/// The number of days from 1899-12-30 to 1970-01-01.
const SERIAL_1970: f64 = 25_569.0;

/// The fraction of a month by which a rounded value may fall short of its start: `1990.083` is
/// February, but 0.996 months after the first of January.
const ROUNDED: f64 = 0.05;

fn number(text: &str) -> Option<f64> {
    text.replace(',', ".").parse().ok().filter(|x: &f64| x.is_finite())
}

/// Parses a number of parts of a second since 1970.
pub(super) fn unix(text: &str, per_second: i64) -> Option<Moment> {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    let number = match whole.parse::<i64>() {
        Ok(number) => i128::from(number) * i128::from(SECOND),
        Err(_) => (number(whole)? * SECOND as f64).round() as i128,
    };
    let micros = number.div_euclid(i128::from(per_second));
    let clock = i64::try_from(micros).ok()?;
    (clock.abs() < 3_000_000 * DAY).then_some(Moment { clock, offset: Some(0) })
}

/// Parses a year with its elapsed fraction.
pub(super) fn decimal_year(text: &str, per_year: i64) -> Option<Moment> {
    let number = number(text).filter(|x| (1000.0..3000.0).contains(x))?;
    let part = match per_year {
        1 => 0.0,
        _ => ((number - number.floor()) * per_year as f64 + ROUNDED).floor(),
    };
    let months = number.floor() as i64 * 12 + part as i64 * (12 / per_year);
    let (year, month) = (months.div_euclid(12) as i16, months.rem_euclid(12) as i8 + 1);
    let clock = micros_of(Date::new(year, month, 1).ok()?.at(0, 0, 0, 0));
    Some(Moment { clock, offset: None })
}

/// Parses a spreadsheet day, rounded to the second: five decimals of a day are not exact.
pub(super) fn serial_day(text: &str) -> Option<Moment> {
    let days = number(text).filter(|x| (1.0..100_000.0).contains(x))?;
    let seconds = ((days - SERIAL_1970) * 86_400.0).round() as i64;
    Some(Moment { clock: seconds * SECOND, offset: None })
}
