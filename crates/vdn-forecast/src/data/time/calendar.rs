//! The times of a run's rows, and the format of their dates.

use crate::data::time::{DAY, DateForm, Moment, SECOND, Step, datetime_of};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The clock on which times are interpreted.
#[derive(Clone, Debug, PartialEq)]
pub enum Clock {
    /// The file's clock, without a known offset.
    File,
    /// UTC, for a file with UTC offsets.
    Utc {
        /// The offset of the file's last time, in seconds ahead of UTC.
        offset: i32,
    },
    /// UTC, for a file whose clock shows the local time of a zone.
    Zone(TimeZone),
}

/// The step of a table's rows, and the format of their dates.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// The distance between rows.
    pub step: Step,
    /// The clock on which times are interpreted.
    pub clock: Clock,
    /// The form of the file's dates.
    pub form: DateForm,
}

impl Calendar {
    /// Returns the date of a time as forecasts write it. Quarters, months and years keep the form
    /// of the file. All other dates are in ISO 8601, without a time of day if the step is at least
    /// a day and the time is midnight.
    #[must_use]
    pub fn date(&self, time: i64) -> String {
        if self.form == DateForm::Count {
            return time.to_string();
        }
        let (ahead, suffix) = match &self.clock {
            Clock::File => (0, String::new()),
            Clock::Utc { offset } => (i64::from(*offset), offset_text(*offset)),
            Clock::Zone(zone) => {
                let offset = jiff::Timestamp::from_microsecond(time)
                    .map_or(Offset::UTC, |timestamp| zone.to_offset(timestamp));
                (i64::from(offset.seconds()), offset_text(offset.seconds()))
            }
        };
        let clock = time + ahead * SECOND;
        let Some(at) = datetime_of(clock) else { return String::new() };
        match (&self.form, self.step) {
            (DateForm::Year | DateForm::DecimalYear { per_year: 1 }, _) => {
                at.strftime("%Y").to_string()
            }
            (DateForm::DecimalYear { per_year: 12 }, _) => at.strftime("%Y-%m").to_string(),
            (DateForm::Quarter | DateForm::DecimalYear { .. }, _) => {
                format!("{}Q{}", at.year(), (at.month() + 2) / 3)
            }
            (DateForm::Pattern(pattern), _)
                if !["%d", "%V", "%j"].iter().any(|day| pattern.contains(day)) =>
            {
                at.strftime("%Y-%m").to_string()
            }
            (_, step) if !step.is_within_days() && clock.rem_euclid(DAY) == 0 => {
                at.strftime("%Y-%m-%d").to_string()
            }
            _ => format!("{}{suffix}", at.strftime("%Y-%m-%d %H:%M:%S%.f")),
        }
    }

    /// Returns the date `steps` rows after the time `start`; empty beyond the year 9999.
    #[must_use]
    pub fn date_after(&self, start: i64, steps: usize) -> String {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        self.step.advance(start, steps).map_or_else(String::new, |time| self.date(time))
    }
}

fn offset_text(seconds: i32) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Converts a moment on the clock of `zone` to microseconds in UTC. If the local time occurs twice,
/// `second` selects the second occurrence. `None` for a time that the clocks skip.
pub(crate) fn in_zone(zone: &TimeZone, moment: Moment, second: bool) -> Option<i64> {
    if let Some(offset) = moment.offset {
        return Some(moment.clock - i64::from(offset) * SECOND);
    }
    let offset = match zone.to_ambiguous_timestamp(datetime_of(moment.clock)?).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { after, .. } if second => after,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { .. } => return None,
    };
    Some(moment.clock - i64::from(offset.seconds()) * SECOND)
}

/// Whether a local time occurs twice on the clock of `zone`.
pub(crate) fn is_repeated(zone: &TimeZone, clock: i64) -> bool {
    let at = datetime_of(clock).map(|at| zone.to_ambiguous_timestamp(at).offset());
    matches!(at, Some(AmbiguousOffset::Fold { .. }))
}
