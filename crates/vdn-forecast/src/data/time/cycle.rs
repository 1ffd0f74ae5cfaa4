//! Calendar cycles: the phase of a time within its day, week and year.

use crate::data::time::{Calendar, Clock, DAY, DateForm, SECOND, Step, datetime_of};
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// A cycle of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// Midnight to midnight.
    Day,
    /// Monday to Sunday.
    Week,
    /// January to December.
    Year,
}

impl Cycle {
    /// Returns the name of the cycle: day, week or year.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Year => "year",
        }
    }
}

impl Calendar {
    /// Returns the cycles that rows with this step can follow: the cycles that are at least two
    /// steps long.
    ///
    /// ```
    /// use vdn_forecast::data::time::{Calendar, Clock, Cycle, DateForm, Step};
    /// let of = |step| Calendar { step, clock: Clock::File, form: DateForm::Iso }.cycles();
    /// assert_eq!(of(Step::Seconds(3600)), [Cycle::Day, Cycle::Week, Cycle::Year]);
    /// assert_eq!(of(Step::Seconds(86_400)), [Cycle::Week, Cycle::Year]);
    /// assert_eq!(of(Step::Months { count: 3, end: false }), [Cycle::Year]);
    /// assert_eq!(of(Step::Months { count: 12, end: false }), []);
    /// ```
    #[must_use]
    pub fn cycles(&self) -> Vec<Cycle> {
        if self.form == DateForm::Count {
            return Vec::new();
        }
        let days = match self.step {
            Step::Micros(_) => 0.0,
            Step::Seconds(seconds) => seconds as f64 / 86_400.0,
            Step::WorkingDays => 1.0,
            Step::Months { count, .. } | Step::LastWorkingDays(count) => 30.0 * count as f64,
            Step::Count(_) => return Vec::new(),
        };
        let lengths = [(Cycle::Day, 1.0), (Cycle::Week, 7.0), (Cycle::Year, 365.0)];
        lengths.into_iter().filter(|(_, length)| 2.0 * days <= *length).map(|(c, _)| c).collect()
    }

    /// Returns the phase of a time within a cycle, in [0, 1), in the local time of the file or its
    /// zone; `None` beyond the years -9999 to 9999.
    #[must_use]
    pub fn phase(&self, time: i64, cycle: Cycle) -> Option<f64> {
        let ahead = match &self.clock {
            Clock::File => 0,
            Clock::Utc { offset } => i64::from(*offset),
            Clock::Zone(zone) => {
                let timestamp = jiff::Timestamp::from_microsecond(time).ok();
                let offset = timestamp.map_or(Offset::UTC, |at| zone.to_offset(at));
                i64::from(offset.seconds())
            }
        };
        let clock = time.checked_add(ahead * SECOND)?;
        let day = clock.rem_euclid(DAY) as f64 / DAY as f64;
        let at = datetime_of(clock)?;
        Some(match cycle {
            Cycle::Day => day,
            Cycle::Week => (f64::from(at.weekday().to_monday_zero_offset()) + day) / 7.0,
            Cycle::Year => {
                let before = f64::from(at.date().day_of_year() - 1);
                (before + day) / f64::from(at.date().days_in_year())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::time::micros_of;
    use jiff::civil::date;

    #[test]
    fn phases_are_those_of_the_clock() {
        let hourly = |clock| Calendar { step: Step::Seconds(3600), clock, form: DateForm::Iso };
        let file = hourly(Clock::File);
        // A Thursday, the 60th of 366 days.
        let noon = micros_of(date(2024, 2, 29).at(12, 0, 0, 0));
        let of = |calendar: &Calendar, time| {
            [Cycle::Day, Cycle::Week, Cycle::Year].map(|cycle| calendar.phase(time, cycle).unwrap())
        };
        let expected = [0.5, 3.5 / 7.0, 59.5 / 366.0];
        let near = |found: [f64; 3], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15)
        };
        assert!(near(of(&file, noon), expected), "{:?}", of(&file, noon));
        // The same local time, one hour ahead of UTC.
        let utc = noon - 3600 * SECOND;
        let offset = hourly(Clock::Utc { offset: 3600 });
        let zone = hourly(Clock::Zone(jiff::tz::TimeZone::get("Europe/Berlin").unwrap()));
        assert!(near(of(&offset, utc), expected) && near(of(&zone, utc), expected));
        // Berlin is two hours ahead in summer.
        let summer = micros_of(date(2024, 7, 1).at(22, 0, 0, 0));
        assert_eq!(of(&zone, summer)[..2], [0.0, 1.0 / 7.0]);
        // The last moment of a year before 1970.
        let last = micros_of(date(1968, 12, 31).at(23, 59, 59, 0));
        assert!(of(&file, last).iter().all(|phase| (0.0..1.0).contains(phase)));
    }
}
