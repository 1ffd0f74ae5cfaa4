//! The times of all rows as numbers, and the step between them.

use crate::data::read::rows::{Group, NO_OFFSET, RawRows};
use crate::data::time::{
    Clock, DateForm, Moment, SECOND, Step, datetime_of, in_zone, is_repeated, micros_of,
};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};
use vdn_train::data::DataError;

/// The maximum number of series of a long file from which the step is determined.
const MOST_SERIES: usize = 200;

/// The interpretation of the times of all rows: their step and clock.
pub(super) struct Axis {
    pub(super) step: Step,
    pub(super) clock: Clock,
}

impl Axis {
    /// Returns the axis on which the rows have a common step.
    pub(super) fn of(
        raw: &RawRows,
        form: usize,
        zone: Option<TimeZone>,
    ) -> Result<Self, DataError> {
        let offsets: Vec<bool> = raw
            .groups
            .iter()
            .flat_map(|group| [group.offsets.get(0), group.offsets.get(group.lines.len() - 1)])
            .flatten()
            .map(|offset| offset != NO_OFFSET)
            .collect();
        let clock = match (zone, offsets.contains(&true)) {
            (Some(zone), _) => Clock::Zone(zone),
            (None, true) => {
                let last = raw.groups.last().and_then(|g| g.offsets.get(g.lines.len() - 1));
                let offset = last.filter(|&offset| offset != NO_OFFSET).unwrap_or(0);
                Clock::Utc { offset: i32::try_from(offset).unwrap_or(0) }
            }
            (None, false) => Clock::File,
        };
        // For steps of a day or more, the file's own clock is used: its days have equal length.
        let mut this = Self { step: Step::Seconds(1), clock };
        let within = this.step_of(raw, form);
        match within {
            Ok(step) if step.is_within_days() => this.step = step,
            _ if this.clock == Clock::File => this.step = within?,
            other => {
                let clock = std::mem::replace(&mut this.clock, Clock::File);
                match this.step_of(raw, form) {
                    Ok(step) if !step.is_within_days() => this.step = step,
                    _ => (this.step, this.clock) = (other?, clock),
                }
            }
        }
        Ok(this)
    }

    /// Returns the most frequent step among the series.
    fn step_of(&self, raw: &RawRows, form: usize) -> Result<Step, DataError> {
        let mut counts: HashMap<Step, usize> = HashMap::new();
        let mut refused = None;
        let long = raw.groups.iter().filter(|group| group.lines.len() > 2);
        for group in long.chain(raw.groups.iter().filter(|g| g.lines.len() == 2)).take(MOST_SERIES)
        {
            let mut times = self.times(&raw.file, group, form)?;
            times.sort_unstable();
            times.dedup();
            let form = raw.forms.iter().find(|(place, _)| *place == form).map(|(_, form)| form);
            let step = match form {
                Some(DateForm::Count) => Step::of_counts(&times),
                _ => Step::of_times(&times),
            };
            match step {
                Ok(step) => *counts.entry(step).or_default() += 1,
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        let best = counts.into_iter().max_by_key(|&(step, count)| (count, format!("{step}")));
        best.map(|(step, _)| step).ok_or_else(|| {
            let reason = refused.unwrap_or_default();
            irregular(&raw.file, &format!("the times of rows have no common step: {reason}"))
        })
    }

    /// Returns the times of a group's rows, in file order.
    pub(super) fn times(
        &self,
        file: &str,
        group: &Group,
        form: usize,
    ) -> Result<Vec<i64>, DataError> {
        let clocks = group.clocks[form].to_vec();
        let offsets = group.offsets.to_vec();
        match &self.clock {
            Clock::File => Ok(clocks),
            Clock::Utc { .. } => clocks
                .iter()
                .zip(&offsets)
                .enumerate()
                .map(|(row, (clock, &offset))| match offset {
                    NO_OFFSET => Err(DataError::Format {
                        file: line_of(file, group, row),
                        problem: "the time has no offset from UTC, other rows have one".to_owned(),
                    }),
                    offset => Ok(clock - offset * SECOND),
                })
                .collect(),
            Clock::Zone(zone) => {
                // A time that occurs twice is in the repeated hour: in ascending rows its second
                // occurrence is the later one.
                let descending = clocks.first() > clocks.last();
                let mut seen = HashSet::new();
                let of = |(row, (&clock, &offset)): (usize, (&i64, &i64))| {
                    let offset = (offset != NO_OFFSET).then_some(offset as i32);
                    let repeated = offset.is_none() && is_repeated(zone, clock);
                    let again = repeated && !seen.insert(clock);
                    let second = repeated && again != descending;
                    in_zone(zone, Moment { clock, offset }, second).ok_or_else(|| {
                        DataError::Format {
                            file: line_of(file, group, row),
                            problem: "the clocks of data.zone skip this time".to_owned(),
                        }
                    })
                };
                clocks.iter().zip(&offsets).enumerate().map(of).collect()
            }
        }
    }
}

/// The number of years at each end of a century in which a jump between consecutive rows counts as
/// a passage from one century to the next.
const YEARS: i16 = 3;

/// Refuses two-digit years that jump from the end of their century to its start between two rows,
/// or back, as from 2068 to 1969. Such years belong to another century than the one assumed.
pub(super) fn check_centuries(
    file: &str,
    group: &Group,
    place: usize,
    form: &DateForm,
) -> Result<(), DataError> {
    let Some(first) = form.first_short_year() else { return Ok(()) };
    let end = |year: i16, low: i16| {
        let day = |year| jiff::civil::date(year, 1, 1).at(0, 0, 0, 0);
        micros_of(day(year))..micros_of(day(low))
    };
    let (begins, ends) = (end(first, first + YEARS), end(first + 100 - YEARS, first + 100));
    let clocks = group.clocks[place].to_vec();
    let passes = |pair: &[i64]| {
        (ends.contains(&pair[0]) && begins.contains(&pair[1]))
            || (begins.contains(&pair[0]) && ends.contains(&pair[1]))
    };
    let Some(row) = clocks.windows(2).position(passes) else { return Ok(()) };
    let year = |row: usize| datetime_of(clocks[row]).map_or(0, |at: DateTime| at.year());
    Err(DataError::Format {
        file: line_of(file, group, row + 1),
        problem: format!(
            "years of two digits stand for {first} to {}, and go from {} to {} here: write years \
             with four digits",
            first + 99,
            year(row),
            year(row + 1)
        ),
    })
}

fn line_of(file: &str, group: &Group, row: usize) -> String {
    format!("{file}:{}", group.lines.get(row).unwrap_or(0))
}

/// Returns the error for rows that are not equally spaced.
pub(super) fn irregular(file: &str, reason: &str) -> DataError {
    DataError::Format {
        file: file.to_owned(),
        problem: format!(
            "{reason}; bring the rows to equal distances first, as by resampling, or set data.date \
             = \"none\" to take them as they stand"
        ),
    }
}
