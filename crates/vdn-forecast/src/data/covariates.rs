//! Covariates of a window: calendar cycles, columns of the file that are known until the forecast
//! begins (`past`) or ahead (`future`), and columns that do not change (`static`).
//!
//! A window has one row of numeric covariates, the same for units, twin and ridge:
//!
//! ```text
//! cycles of the calendar at t   sine and cosine of each           2 C
//! past columns                  rows t - L .. t of each           P L
//! future columns                rows t - L .. t + H of each       F (L + H)
//! ```
//!
//! It also has the number of its category in each static column. Columns are standardised over the
//! training rows; cycles are not. The cycles at `t` determine the cycles at all later steps: each
//! step rotates sine and cosine by a fixed angle, and a linear map with weights for each step can
//! represent this rotation.

use crate::data::read::SeriesTable;
use crate::data::time::Cycle;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use vdn_train::data::{DataError, LARGEST_STANDARDISED};

/// A numeric covariate column, with its mean and standard deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideColumn {
    /// The name of the column.
    pub name: String,
    /// The mean over the training rows.
    pub mean: f64,
    /// The standard deviation, above 0; 1 for a constant column.
    pub std: f64,
}

/// A static column, and the categories that occur in training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticColumn {
    /// The name of the column.
    pub name: String,
    /// The categories, in alphabetical order.
    pub categories: Vec<String>,
}

/// The covariates of windows; empty by default. They are stored with a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Covariates {
    /// The calendar cycles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cycles: Vec<Cycle>,
    /// Columns that are known until the forecast begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<SideColumn>,
    /// Columns that are known ahead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub future: Vec<SideColumn>,
    /// Columns that do not change within a series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statics: Vec<StaticColumn>,
}

/// One line, such as `phases of week and year; past rain; future plan, price; static kind`. Empty
/// without covariates.
impl fmt::Display for Covariates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |kind: &str, names: Vec<&str>| {
            (!names.is_empty()).then(|| format!("{kind} {}", names.join(", ")))
        };
        let columns = |kind: &str, columns: &[SideColumn]| {
            listed(kind, columns.iter().map(|column| column.name.as_str()).collect())
        };
        let cycles: Vec<&str> = self.cycles.iter().map(|cycle| cycle.name()).collect();
        let cycles = cycles.split_last().map(|(last, others)| match others {
            [] => format!("phase of {last}"),
            _ => format!("phases of {} and {last}", others.join(", ")),
        });
        let parts = [
            cycles,
            columns("past", &self.past),
            columns("future", &self.future),
            listed("static", self.statics.iter().map(|c| c.name.as_str()).collect()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

impl Covariates {
    /// Returns the covariate columns of a table. The scales come from the first `known(series)`
    /// rows of each series. Categories are empty: they depend on the windows
    /// ([`Covariates::set_categories`]).
    pub(crate) fn of(
        table: &SeriesTable,
        series: usize,
        known: impl Fn(usize) -> usize,
    ) -> Result<Self, DataError> {
        let names = table.side_names();
        let scaled = |names: &[String], first: usize| -> Result<Vec<SideColumn>, DataError> {
            let of = |(column, name): (usize, &String)| {
                let values = (0..series).flat_map(|one| {
                    let all = table.side(one, first + column);
                    let start = table.side_start(one);
                    let end = (start + known(one)).min(all.len());
                    all[start.min(end)..end].iter().copied()
                });
                let (mean, std) = moments(values);
                if mean.is_finite() && std.is_finite() {
                    return Ok(SideColumn { name: name.clone(), mean, std });
                }
                let problem = "its mean or deviation is beyond the range of f64".to_owned();
                Err(DataError::BadSeries { series: name.clone(), problem })
            };
            names.iter().enumerate().map(of).collect()
        };
        let column = |name: &String| StaticColumn { name: name.clone(), categories: Vec::new() };
        Ok(Self {
            cycles: Vec::new(),
            past: scaled(&names.past, 0)?,
            future: scaled(&names.future, names.past.len())?,
            statics: names.statics.iter().map(column).collect(),
        })
    }

    /// Sets the categories to the categories of the series in `trained`, which have training
    /// windows.
    pub(crate) fn set_categories(&mut self, table: &SeriesTable, trained: &[usize]) {
        for (place, column) in self.statics.iter_mut().enumerate() {
            let of = trained.iter().map(|&one| table.category(one, place).to_owned());
            column.categories = of.collect();
            column.categories.sort_unstable();
            column.categories.dedup();
        }
    }

    /// Returns the number of numeric covariates of a window with inputs of `input_len` rows and
    /// `horizon` rows ahead.
    #[must_use]
    pub fn numbers(&self, input_len: usize, horizon: usize) -> usize {
        2 * self.cycles.len()
            + self.past.len() * input_len
            + self.future.len() * (input_len + horizon)
    }

    /// Returns the number of categories of all static columns together.
    #[must_use]
    pub fn categories(&self) -> usize {
        self.statics.iter().map(|column| column.categories.len()).sum()
    }

    /// Whether there are no covariates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether both have the same columns, cycles and categories, and their scales differ at most
    /// by rounding in a stored file.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
        let same = |a: &[SideColumn], b: &[SideColumn]| {
            let one = |(a, b): (&SideColumn, &SideColumn)| {
                a.name == b.name && near(a.mean, b.mean) && near(a.std, b.std)
            };
            a.len() == b.len() && a.iter().zip(b).all(one)
        };
        same(&self.past, &other.past)
            && same(&self.future, &other.future)
            && self.cycles == other.cycles
            && self.statics == other.statics
    }

    /// Returns the categories of a series, one for each static column, numbered among the
    /// categories of all columns.
    pub(crate) fn categories_of(
        &self,
        table: &SeriesTable,
        series: usize,
    ) -> Result<Vec<usize>, DataError> {
        let mut before = 0;
        let of = |(column, own): (usize, &StaticColumn)| {
            let name = table.category(series, column);
            let place = own.categories.binary_search_by(|one| one.as_str().cmp(name));
            let place = place.map_err(|_| DataError::BadSeries {
                series: own.name.clone(),
                problem: format!("the model was not trained on the category {name:?}"),
            })?;
            before += own.categories.len();
            Ok(before - own.categories.len() + place)
        };
        self.statics.iter().enumerate().map(of).collect()
    }

    /// Returns the first category of a series that does not occur in training, with its column.
    pub(crate) fn unknown_category<'a>(
        &'a self,
        table: &'a SeriesTable,
        series: usize,
    ) -> Option<(&'a str, &'a str)> {
        self.statics.iter().enumerate().find_map(|(column, own)| {
            let name = table.category(series, column);
            let is_known = own.categories.binary_search_by(|one| one.as_str().cmp(name)).is_ok();
            (!is_known).then_some((own.name.as_str(), name))
        })
    }

    /// Rejects numeric covariates whose standardised value is beyond [`LARGEST_STANDARDISED`].
    ///
    /// It checks the `rows` of a series that inputs of windows contain and, for columns that are
    /// known ahead, the next `horizon` rows. `split` adds information on a row to the message.
    pub(crate) fn check_domain(
        &self,
        table: &SeriesTable,
        series: usize,
        (rows, horizon): (Range<usize>, usize),
        split: impl Fn(usize) -> String,
    ) -> Result<(), DataError> {
        let start = table.side_start(series);
        for (place, column) in self.past.iter().chain(&self.future).enumerate() {
            let values = table.side(series, place);
            let ahead = if place < self.past.len() { 0 } else { horizon };
            let end = (start + rows.end + ahead).min(values.len());
            let own = values.get(start + rows.start..end).unwrap_or_default();
            let standardised = own.iter().map(|value| (value - column.mean) / column.std);
            let bad = |(_, z): &(usize, f64)| z.is_nan() || z.abs() > LARGEST_STANDARDISED;
            if let Some((at, value)) = standardised.enumerate().find(bad) {
                let row = rows.start + at;
                let file = table.place(series, row).map(|place| format!(" in {place}"));
                return Err(DataError::TooLarge {
                    series: column.name.clone(),
                    row,
                    place: format!("{}{}", file.unwrap_or_default(), split(row)),
                    value,
                    most: LARGEST_STANDARDISED,
                });
            }
        }
        Ok(())
    }

    /// Writes the numeric covariates of the window whose forecast begins at row `t`; `out` is
    /// `[numbers]`. Returns false if a column has too few rows.
    pub(crate) fn fill<T>(
        &self,
        table: &SeriesTable,
        series: usize,
        [input_len, horizon, t]: [usize; 3],
        out: &mut [T],
        convert: impl Fn(f64) -> T,
    ) -> bool {
        let mut to = out.iter_mut();
        let mut put = |value: f64| to.next().map(|to| *to = convert(value)).is_some();
        if let Some(calendar) = table.calendar() {
            let time = table.start(series).and_then(|start| {
                calendar.step.advance(start, i64::try_from(t).unwrap_or(i64::MAX))
            });
            for cycle in &self.cycles {
                let phase = time.and_then(|time| calendar.phase(time, *cycle)).unwrap_or(0.0);
                let (sine, cosine) = (std::f64::consts::TAU * phase).sin_cos();
                put(sine);
                put(cosine);
            }
        }
        let start = table.side_start(series);
        let Some(first) = (start + t).checked_sub(input_len) else { return false };
        let lengths = self.past.iter().map(|_| input_len);
        let lengths = lengths.chain(self.future.iter().map(|_| input_len + horizon));
        let columns = self.past.iter().chain(&self.future).zip(lengths);
        for (place, (column, length)) in columns.enumerate() {
            let Some(values) = table.side(series, place).get(first..first + length) else {
                return false;
            };
            values.iter().for_each(|value| {
                put((value - column.mean) / column.std);
            });
        }
        true
    }

    /// Rejects a table in which a numeric column ends before row `rows + ahead` of a series,
    /// although it has to be known ahead.
    pub(crate) fn check_ahead(
        &self,
        table: &SeriesTable,
        series: usize,
        rows: usize,
        ahead: usize,
    ) -> Result<(), DataError> {
        let start = table.side_start(series);
        for (place, column) in self.future.iter().enumerate() {
            let known = table.side(series, self.past.len() + place).len();
            let there = known.saturating_sub(start + rows);
            if there < ahead {
                return Err(DataError::BadSeries {
                    series: column.name.clone(),
                    problem: format!(
                        "a forecast needs its values in the {ahead} rows behind the last \
                         observation, {there} are there: add rows with their times, without \
                         values of the series and with those of `{}`",
                        column.name
                    ),
                });
            }
        }
        Ok(())
    }

    /// Rejects a table whose covariate columns differ from the model's columns in names or order.
    ///
    /// # Errors
    /// The error contains the found and the expected names of the first kind of columns that
    /// differs.
    pub(crate) fn check_names(&self, table: &SeriesTable) -> Result<(), DataError> {
        let found = table.side_names();
        let of = |columns: &[SideColumn]| columns.iter().map(|c| c.name.clone()).collect();
        let trained: [Vec<String>; 3] = [
            of(&self.past),
            of(&self.future),
            self.statics.iter().map(|c| c.name.clone()).collect(),
        ];
        let kinds = ["past", "future", "static"];
        let found = [&found.past, &found.future, &found.statics];
        for ((kind, trained), found) in kinds.into_iter().zip(trained).zip(found) {
            if trained != *found {
                let problem = format!(
                    "the {kind} columns are {found:?}, those that the model was trained with \
                     {trained:?}"
                );
                return Err(DataError::Mismatch { op: "forecast", problem });
            }
        }
        Ok(())
    }
}

/// The mean and the standard deviation; the deviation of a constant is 1. All differences are taken
/// from the first value and divided by the largest difference. So the deviation of a constant is
/// detected exactly, and no square overflows `f64`.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let Some(first) = values.clone().next() else { return (0.0, 1.0) };
    let differences = values.map(|x| x - first);
    let largest = differences.clone().fold(0.0, |largest: f64, d| largest.max(d.abs()));
    if largest == 0.0 {
        return (first, 1.0);
    }
    let scaled = differences.map(|d| d / largest);
    let count = scaled.clone().count() as f64;
    let mean = scaled.clone().sum::<f64>() / count;
    let variance = scaled.map(|d| (d - mean).powi(2)).sum::<f64>() / count;
    (first + largest * mean, largest * variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::moments;

    #[test]
    fn a_constant_has_no_deviation_of_rounding_and_no_scale_is_too_large() {
        for (constant, rows) in [(9.99, 1022), (0.1, 500), (3.3, 10_000), (-1e300, 7)] {
            let found = moments(std::iter::repeat_n(constant, rows));
            assert_eq!(found, (constant, 1.0), "{constant} {rows}");
        }
        assert_eq!(moments(std::iter::empty()), (0.0, 1.0));
        for scale in [1.0, 1e-200, 1e300] {
            let (mean, std) = moments([1.0, 3.0, 1.0, 3.0].into_iter().map(|x| x * scale));
            assert!((mean / scale - 2.0).abs() < 1e-15 && (std / scale - 1.0).abs() < 1e-15);
        }
    }
}
