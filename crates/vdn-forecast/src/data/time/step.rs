//! The distance between rows: of fixed length, or in calendar units.

use crate::data::time::{DAY, SECOND, datetime_of, micros_of};
use jiff::Span;
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The distance in time between a row and the next one.
///
/// ```
/// use vdn_forecast::data::time::Step;
///
/// assert_eq!(Step::Seconds(900).to_string(), "15 minutes");
/// assert_eq!(Step::Months { count: 3, end: false }.to_string(), "3 months");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// This many microseconds, for steps that are not whole seconds.
    Micros(i64),
    /// This many seconds; a day has 86 400, a week 604 800.
    Seconds(i64),
    /// This many calendar months: 3 are a quarter, 12 a year. Only the month of a time counts.
    Months {
        /// The number of months.
        count: i64,
        /// Whether the dates are the last days of their months.
        end: bool,
    },
    /// This many calendar months, between dates that are the last weekdays (Monday to Friday) of
    /// their months.
    LastWorkingDays(i64),
    /// One working day, Monday to Friday.
    WorkingDays,
    /// This many units of a count of unknown length.
    Count(i64),
}

impl Step {
    fn fixed(micros: i64) -> Self {
        match micros % SECOND {
            0 => Self::Seconds(micros / SECOND),
            _ => Self::Micros(micros),
        }
    }

    /// Returns the length in microseconds, if it is fixed.
    fn micros(self) -> Option<i64> {
        match self {
            Self::Micros(micros) => Some(micros),
            Self::Seconds(seconds) => Some(seconds * SECOND),
            Self::Months { .. } | Self::LastWorkingDays(_) | Self::WorkingDays | Self::Count(_) => {
                None
            }
        }
    }

    /// Whether the step is shorter than a day.
    #[must_use]
    pub fn is_within_days(self) -> bool {
        self.micros().is_some_and(|micros| micros < DAY)
    }

    /// Returns the step of distinct counts in ascending order: the most frequent distance.
    ///
    /// # Errors
    /// Fails with a sentence if no distance is that of at least half of the rows.
    pub(crate) fn of_counts(counts: &[i64]) -> Result<Self, String> {
        let (usual, share) = mode(counts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
        match usual {
            1.. if share >= 0.5 => Ok(Self::Count(usual)),
            _ => Err("no distance is that of half of the rows".to_owned()),
        }
    }

    /// Returns the step of distinct times in ascending order.
    ///
    /// It is the most frequent distance. Times that are whole months apart give calendar steps, and
    /// days without Saturdays and Sundays give working days.
    ///
    /// # Errors
    /// Fails with a sentence that gives the reason: fewer than two times, or no sufficiently
    /// frequent distance.
    pub fn of_times(times: &[i64]) -> Result<Self, String> {
        if times.len() < 2 {
            return Err("fewer than two times have no step".to_owned());
        }
        let (usual, share) = mode(times.windows(2).map(|pair| pair[1] - pair[0]));
        if usual >= 27 * DAY
            && let Some(step) = months(times)
        {
            return Ok(step);
        }
        // Many rows may be missing, if all of them are on the grid of the most frequent distance.
        let on_grid = || times.windows(2).all(|pair| (pair[1] - pair[0]) % usual == 0);
        if share < 0.5 && !(share >= 0.2 && on_grid()) {
            return Err(format!(
                "the most frequent distance of rows, {}, is that of {:.0} % of them only",
                Self::fixed(usual),
                100.0 * share
            ));
        }
        if usual == DAY && is_working_week(times) {
            return Ok(Self::WorkingDays);
        }
        Ok(Self::fixed(usual))
    }

    /// Returns the time `steps` steps after `start`; `None` beyond the years 1000 to 9999.
    #[must_use]
    pub fn advance(self, start: i64, steps: i64) -> Option<i64> {
        let time = match self {
            Self::Micros(_) | Self::Seconds(_) => {
                start.checked_add(self.micros()?.checked_mul(steps)?)?
            }
            Self::Months { count, end } => {
                let from = datetime_of(start)?;
                let span = Span::new().try_months(count.checked_mul(steps)?).ok()?;
                let date = from.date().checked_add(span).ok()?;
                let date = if end { date.last_of_month() } else { date };
                micros_of(jiff::civil::DateTime::from_parts(date, from.time()))
            }
            Self::LastWorkingDays(count) => {
                let end = Self::Months { count, end: true }.advance(start, steps)?;
                micros_of(last_working_day(datetime_of(end)?))
            }
            Self::Count(count) => return start.checked_add(count.checked_mul(steps)?),
            Self::WorkingDays => {
                let weekday = i64::from(datetime_of(start)?.weekday().to_monday_zero_offset());
                let day = weekday.checked_add(steps)?;
                let days = day.div_euclid(5) * 7 + day.rem_euclid(5) - weekday;
                start.checked_add(days.checked_mul(DAY)?)?
            }
        };
        datetime_of(time).filter(|t| (1000..=9999).contains(&t.year())).map(|_| time)
    }

    /// Returns the number of steps from `start` to `time`; `None` if `time` is between two rows.
    #[must_use]
    pub fn between(self, start: i64, time: i64) -> Option<i64> {
        match self {
            Self::Micros(_) | Self::Seconds(_) => {
                let (step, distance) = (self.micros()?, time.checked_sub(start)?);
                (distance % step == 0).then_some(distance / step)
            }
            Self::Count(count) => {
                let distance = time.checked_sub(start)?;
                (distance % count == 0).then_some(distance / count)
            }
            Self::Months { count, .. } | Self::LastWorkingDays(count) => {
                let distance = month(time)? - month(start)?;
                (distance % count == 0).then_some(distance / count)
            }
            Self::WorkingDays => {
                let whole = |time: i64| {
                    let at = datetime_of(time)?;
                    let day = i64::from(at.weekday().to_monday_zero_offset());
                    let week = (time.div_euclid(DAY) - day).div_euclid(7);
                    (day < 5).then_some(5 * week + day)
                };
                let same = (time - start) % DAY == 0;
                Some(whole(time)? - whole(start)?).filter(|_| same)
            }
        }
    }

    /// Returns the candidates for the seasonal period in rows, in ascending order: days and weeks
    /// for steps shorter than a day, weeks and years for days, years for longer steps.
    #[must_use]
    pub fn seasons(self) -> Vec<usize> {
        let per = |length: i64| {
            let step = self.micros()?;
            let rows = usize::try_from(length / step).ok()?;
            (length % step == 0 && rows > 1).then_some(rows)
        };
        match self {
            Self::Months { count, .. } | Self::LastWorkingDays(count) => match 12 % count {
                0 if count < 12 => vec![12 / count as usize],
                _ => Vec::new(),
            },
            Self::WorkingDays => vec![5, 260],
            Self::Count(_) => Vec::new(),
            Self::Seconds(86_400) => vec![7, 365],
            // Whole weeks have a yearly season only if their number divides the 52 weeks of a year.
            Self::Seconds(seconds) if seconds % 604_800 == 0 => match 52 % (seconds / 604_800) {
                0 if seconds < 52 * 604_800 => vec![(52 * 604_800 / seconds) as usize],
                _ => Vec::new(),
            },
            Self::Seconds(seconds) if seconds < 60 => {
                [60, 3600].iter().filter_map(|&length| per(length * SECOND)).collect()
            }
            Self::Seconds(seconds) if seconds < 600 => {
                let lengths = [3600 * SECOND, DAY, 7 * DAY];
                lengths.into_iter().filter_map(per).collect()
            }
            Self::Seconds(_) => [DAY, 7 * DAY].into_iter().filter_map(per).collect(),
            Self::Micros(_) => [SECOND, 60 * SECOND].into_iter().filter_map(per).collect(),
        }
    }
}

/// Returns the number of months since year 0.
fn month(time: i64) -> Option<i64> {
    let at = datetime_of(time)?;
    Some(12 * i64::from(at.year()) + i64::from(at.month()) - 1)
}

/// Returns the last weekday (Monday to Friday) of the month of a time, at the same time of day.
fn last_working_day(at: jiff::civil::DateTime) -> jiff::civil::DateTime {
    let end = at.date().last_of_month();
    let weekend = (end.weekday().to_monday_zero_offset() - 4).max(0);
    let date = jiff::civil::Date::new(end.year(), end.month(), end.day() - weekend);
    date.unwrap_or(end).to_datetime(at.time())
}

/// Returns the step in calendar months. Every time has to be in a month of its own, the distances
/// have to be multiples of the most frequent one, and the days of the month have to follow a rule.
fn months(times: &[i64]) -> Option<Step> {
    let month: Vec<i64> = times.iter().map(|&time| month(time)).collect::<Option<_>>()?;
    let distances = || month.windows(2).map(|pair| pair[1] - pair[0]);
    let (count, share) = mode(distances());
    if count < 1 || share < 0.5 || distances().any(|distance| distance % count != 0 || distance < 1)
    {
        return None;
    }
    let dates: Vec<_> = times.iter().filter_map(|&time| datetime_of(time)).collect();
    let end = dates.iter().all(|at| at.date() == at.date().last_of_month());
    let working = dates.iter().all(|&at| at == last_working_day(at));
    let day = |at: &jiff::civil::DateTime| at.day();
    let same = dates.iter().all(|at| day(at) == day(&dates[0]));
    // Constant distances of 28 or 30 days are fixed steps, unless the calendar explains them
    // better.
    let fixed = times.windows(2).all(|pair| pair[1] - pair[0] == times[1] - times[0]);
    match (same || end || !fixed, working && !end && !same) {
        (true, true) => Some(Step::LastWorkingDays(count)),
        (true, false) => Some(Step::Months { count, end: end && !same }),
        (false, _) => None,
    }
}

/// Whether no row is on a Saturday or Sunday in two weeks, or in data with at least two pairs of a
/// Friday and the next Monday.
fn is_working_week(times: &[i64]) -> bool {
    let weekday = |time: i64| datetime_of(time).map(|at| at.weekday());
    let weekend = [Some(Weekday::Saturday), Some(Weekday::Sunday)];
    let passed = times
        .windows(2)
        .filter(|pair| pair[1] - pair[0] == 3 * DAY && weekday(pair[0]) == Some(Weekday::Friday));
    let long = times[times.len() - 1] - times[0] >= 14 * DAY;
    (long || passed.count() >= 2) && !times.iter().any(|&time| weekend.contains(&weekday(time)))
}

/// Returns the most frequent number (the smallest if there are several), and its share.
fn mode(numbers: impl Iterator<Item = i64>) -> (i64, f64) {
    let mut sorted: Vec<i64> = numbers.collect();
    sorted.sort_unstable();
    let mut best = (0, 0);
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best.1 {
            best = (run[0], run.len());
        }
    }
    (best.0, best.1 as f64 / sorted.len().max(1) as f64)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match *self {
            Self::WorkingDays => return f.write_str("1 working day"),
            Self::Months { count, .. } | Self::LastWorkingDays(count) if count % 12 == 0 => {
                (count / 12, "year")
            }
            Self::Months { count, .. } | Self::LastWorkingDays(count) => (count, "month"),
            Self::Count(count) => (count, "step"),
            Self::Micros(micros) if micros % 1000 == 0 => (micros / 1000, "millisecond"),
            Self::Micros(micros) => (micros, "microsecond"),
            Self::Seconds(seconds) => {
                let units = [(604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")];
                let whole = units.into_iter().find(|(length, _)| seconds % length == 0);
                whole.map_or((seconds, "second"), |(length, unit)| (seconds / length, unit))
            }
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests;
