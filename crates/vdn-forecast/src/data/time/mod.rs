//! Times in files: date formats, calendar steps, and the times of rows.
//!
//! | file | concept |
//! |---|---|
//! | `form.rs` | date formats: [`DateForm`], detected from texts |
//! | `step.rs` | the distance between rows: [`Step`], of fixed length or in calendar units |
//! | `calendar.rs` | the times of a run's rows: [`Calendar`] writes the date of any row |
//! | `cycle.rs` | the phase of a time within its day, week and year: [`Cycle`] |
//! | `progressions.rs` | long lists of times and lines in little memory |
//!
//! A time is the number of microseconds since 1970-01-01 00:00. It is on the file's clock or, for
//! steps shorter than a day with known offsets or zone, in UTC. So a day of 23 hours has 23 hourly
//! rows, and daily rows at midnight stay one day apart when clocks change.

mod calendar;
mod cycle;
mod form;
mod progressions;
mod step;

pub use calendar::{Calendar, Clock};
pub(super) use calendar::{in_zone, is_repeated};
pub use cycle::Cycle;
pub use form::{DateForm, Moment};
pub(super) use progressions::Progressions;
pub use step::Step;

/// The number of microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;
/// The number of microseconds in a day.
pub(super) const DAY: i64 = 86_400 * SECOND;

use jiff::civil::DateTime;

/// Whether a time zone has this name in the IANA database.
pub(crate) fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// Returns the microseconds from 1970-01-01 00:00 to `datetime`, without a time zone.
pub(super) fn micros_of(datetime: DateTime) -> i64 {
    let since = datetime.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
    since.as_secs() * SECOND + i64::from(since.subsec_micros())
}

/// Returns the date and time at these microseconds since 1970-01-01 00:00; `None` beyond the years
/// -9999 to 9999.
pub(super) fn datetime_of(micros: i64) -> Option<DateTime> {
    let timestamp = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(timestamp))
}
