//! Standardised series with their windows, ready to fill batches.

mod beside;
mod forecast;
mod missing;

use crate::data::covariates::Covariates;
use crate::data::read::SeriesTable;
use crate::data::time::Calendar;
use crate::data::windows::{SeriesRanges, Splits, WindowIndex, WindowSpec};
use std::mem::take;
use std::ops::Range;
use vdn_train::data::{DataError, FitScope, LARGEST_STANDARDISED, Scaler};

/// The largest standardised value of a constant series. It is not 0 because of rounding.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Standardised series, the scaler that inverts the standardisation, and the windows of each split.
///
/// Values are `f64`; the caller of `fill_batch` converts them to the model's type.
#[derive(Debug, Clone)]
pub struct Dataset {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    /// The columns with missing values replaced by the last value before; `None` if no value is
    /// missing.
    filled: Option<Vec<Vec<f64>>>,
    scaler: Scaler,
    splits: Splits,
    spec: WindowSpec,
    /// The times and file positions of the rows, without values.
    rows: SeriesTable,
    notes: Vec<String>,
    covariates: Covariates,
    /// For each series, its categories, numbered among all categories.
    categories: Vec<Vec<usize>>,
}

impl Dataset {
    /// Splits and standardises series, whose lengths may differ.
    ///
    /// A skipped, too short series has no windows. All its rows are used to standardise it.
    ///
    /// ```
    /// use vdn_forecast::data::{Dataset, WindowSpec};
    /// use vdn_train::data::FitScope;
    ///
    /// let series: Vec<f64> = (0..200).map(|row| f64::from(row % 7)).collect();
    /// let spec = WindowSpec::new(14, 7);
    /// let data = Dataset::new(vec!["week".to_owned()], vec![series], spec, FitScope::Training)?;
    ///
    /// let batch = &data.splits().train[..2];
    /// let mut current = [0.0_f32; 2 * 14];
    /// let mut previous = [0.0_f32; 2 * 14];
    /// let mut target = [0.0_f32; 2 * 7];
    /// data.fill_batch(batch, &mut current, &mut previous, &mut target, |x| x as f32)?;
    /// assert_eq!(current[..10], previous[4..14]);
    /// # Ok::<(), vdn_train::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`WindowSpec::split`] and [`Scaler::fit`]; [`DataError::BadSeries`] for a
    /// value that is not finite; [`DataError::TooLarge`] if a row of any split is more than
    /// [`LARGEST_STANDARDISED`] deviations from the mean.
    pub fn new(
        names: Vec<String>,
        columns: Vec<Vec<f64>>,
        spec: WindowSpec,
        scope: FitScope,
    ) -> Result<Self, DataError> {
        let table = SeriesTable { names, columns, ..SeriesTable::default() };
        Self::from_table(table, spec, scope)
    }

    /// Splits and standardises the series of a table and keeps their dates.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::new`]; [`DataError::InvalidOption`] if a split has no window left,
    /// because all of them start their forecast inside gaps that were filled from later values.
    pub fn from_table(
        table: impl Into<SeriesTable>,
        spec: WindowSpec,
        scope: FitScope,
    ) -> Result<Self, DataError> {
        let mut table = table.into();
        let (names, mut columns) = (take(&mut table.names), take(&mut table.columns));
        let mut notes = take(&mut table.notes);
        let lengths: Vec<usize> = columns.iter().map(Vec::len).collect();
        let mut splits = spec.split(&names, &lengths)?;
        for (name, column) in names.iter().zip(&columns) {
            let is_bad = |value: &f64| !(value.is_finite() || table.masked && value.is_nan());
            if let Some(row) = column.iter().position(is_bad) {
                let problem = format!("the value of row {row} (from 0) is {}", column[row]);
                return Err(DataError::BadSeries { series: name.clone(), problem });
            }
        }
        let fitted = |series: usize| match (&splits.ranges[series], scope) {
            (None, _) => lengths[series],
            (Some(ranges), FitScope::Training) => ranges.first_validation_target,
            (Some(ranges), FitScope::IncludeValidation) => ranges.first_test_target,
        };
        let known = |value: &&f64| !value.is_nan();
        let rows = |series: usize| columns[series][..fitted(series)].iter().filter(known);
        let scaler = Scaler::fit(&names, rows)?;
        for (series, column) in columns.iter_mut().enumerate() {
            scaler.transform_in_place(series, column);
            // Rows after the last target are in no window.
            let Some(ranges) = &splits.ranges[series] else { continue };
            let used = (ranges.test.end + spec.horizon - 1).min(column.len());
            check_domain(&names[series], column, 0..used, |row| {
                let split = split_of(ranges, row);
                let file = table
                    .place(series, row)
                    .map_or_else(String::new, |place| format!(" in {place}"));
                format!("{file} ({split})")
            })?;
        }
        // Scales are fitted on series with training windows: other series may have no rows before
        // validation.
        let known = |series: usize| splits.ranges[series].as_ref().map_or(0, |_| fitted(series));
        let mut covariates = Covariates::of(&table, names.len(), known)?;
        for (series, ranges) in splits.ranges.iter().enumerate() {
            let Some(ranges) = ranges else { continue };
            // The last window begins its forecast in the row before `test.end`.
            let inputs = ranges.test.end.saturating_sub(1).min(lengths[series]);
            let split = |row| format!(" ({})", split_of(ranges, row));
            covariates.check_domain(&table, series, (0..inputs, spec.horizon), split)?;
        }
        leave_out_informed(&mut splits, &table, &mut notes)?;
        if table.masked {
            missing::leave_out_empty(&mut splits, &columns, &spec, &mut notes)?;
        }
        if !covariates.statics.is_empty() {
            let mut trained: Vec<usize> = splits.train.iter().map(|w| w.series as usize).collect();
            trained.sort_unstable();
            trained.dedup();
            covariates.set_categories(&table, &trained);
            leave_out_unknown(&mut splits, &covariates, (&names, &table), &mut notes)?;
        }
        let filled = missing::filled(&columns);
        for series in scaler.constant_series() {
            let moves = columns[series].iter().position(|&z| z.abs() > ROUNDING);
            let at = |row: usize| table.date(series, row).unwrap_or_else(|| format!("row {row}"));
            notes.push(match moves {
                None => format!("{}: is constant; its constant is forecast", names[series]),
                Some(row) => format!(
                    "{}: is constant in the training rows and changes later, first at {}: nothing \
                     can be learnt of that",
                    names[series],
                    at(row)
                ),
            });
        }
        let (rows, categories) = (table, Vec::new());
        let mut data = Self {
            names,
            columns,
            filled,
            scaler,
            splits,
            spec,
            rows,
            notes,
            covariates,
            categories,
        };
        data.number_categories()?;
        Ok(data)
    }

    /// Returns the names of the series.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the standardised values, one vector for each series; NaN marks a missing value.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Returns notes on changes to the rows and on suspicious values, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the step of the rows and the form of their dates; `None` if times are not known.
    pub fn calendar(&self) -> Option<&Calendar> {
        self.rows.calendar()
    }

    /// Returns the date of a row of a series, also of rows beyond its end; `None` if times are not
    /// known.
    pub fn date(&self, series: usize, row: usize) -> Option<String> {
        self.rows.date(series, row)
    }

    /// Returns the offset that was subtracted from a series before it was standardised. It is 0,
    /// unless the values are integers beyond 2^53.
    pub fn offset(&self, series: usize) -> i128 {
        self.rows.offset(series)
    }

    /// Returns the scaler of the series.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Returns the windows of each split.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// Returns the window specification.
    pub fn spec(&self) -> &WindowSpec {
        &self.spec
    }

    /// Copies windows into a batch: `current` and `previous` are `[windows, L]`, `target` is
    /// `[windows, H]`, row-major. Does not allocate.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if a buffer has the wrong size, or a window extends beyond its
    /// series. The content of the buffers is then unspecified.
    pub fn fill_batch<T>(
        &self,
        windows: &[WindowIndex],
        current: &mut [T],
        previous: &mut [T],
        target: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
    ) -> Result<(), DataError> {
        self.fill_inputs(windows, 0, current, convert)?;
        self.fill_inputs(windows, 1, previous, convert)?;
        self.fill_targets(windows, target, convert)
    }

    /// Copies the inputs that lie `lag` strides before the windows: 0 is the current input, 1 the
    /// previous one, 2 its own predecessor. `inputs` is `[windows, L]`, row-major.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::fill_batch`].
    pub fn fill_inputs<T>(
        &self,
        windows: &[WindowIndex],
        lag: usize,
        inputs: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
    ) -> Result<(), DataError> {
        let length = self.spec.input_len;
        let back = self.spec.stride.checked_mul(lag).and_then(|rows| rows.checked_add(length));
        let from = self.filled();
        self.fill("fill_inputs", from, (windows, length), inputs, convert, |t| t.checked_sub(back?))
    }

    /// Copies the targets of windows; NaN marks a missing one. `targets` is `[windows, H]`,
    /// row-major.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::fill_batch`].
    pub fn fill_targets<T>(
        &self,
        windows: &[WindowIndex],
        targets: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
    ) -> Result<(), DataError> {
        let of = (windows, self.spec.horizon);
        self.fill("fill_targets", &self.columns, of, targets, convert, Some)
    }

    /// Copies `length` rows for each window, from the first row that `start` returns for its `t`.
    fn fill<T>(
        &self,
        op: &'static str,
        columns: &[Vec<f64>],
        (windows, length): (&[WindowIndex], usize),
        out: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
        start: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), DataError> {
        if windows.len().checked_mul(length) != Some(out.len()) {
            let count = windows.len();
            let problem =
                format!("the buffer has {} elements, [{count}, {length}] needs others", out.len());
            return Err(DataError::Mismatch { op, problem });
        }
        for (window, out) in windows.iter().zip(out.chunks_exact_mut(length)) {
            let values = columns.get(window.series as usize).and_then(|column| {
                let start = start(window.t as usize)?;
                column.get(start..start.checked_add(length)?)
            });
            let Some(values) = values else {
                return Err(DataError::Mismatch { op, problem: self.outside(*window, length) });
            };
            for (out, &value) in out.iter_mut().zip(values) {
                *out = convert(value);
            }
        }
        Ok(())
    }

    fn outside(&self, window: WindowIndex, length: usize) -> String {
        let WindowIndex { series, t } = window;
        match self.columns.get(series as usize) {
            None => format!("there is no series {series}, only {}", self.columns.len()),
            Some(column) => format!(
                "the {length} rows of the window at {t} reach out of series `{}` with {} rows",
                self.names[series as usize],
                column.len()
            ),
        }
    }
}

/// Removes windows whose forecast begins inside a gap that was filled from the value after it:
/// their inputs would contain information on that value.
fn leave_out_informed(
    splits: &mut Splits,
    table: &SeriesTable,
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let informed = |window: &WindowIndex| {
        let (gaps, t) = (table.interpolated(window.series as usize), window.t as usize);
        let next = gaps.partition_point(|gap| gap.end < t);
        gaps.get(next).is_some_and(|gap| gap.start < t)
    };
    let mut left_out = 0;
    for (name, split) in [
        ("training", &mut splits.train),
        ("validation", &mut splits.validation),
        ("test", &mut splits.test),
    ] {
        let before = split.len();
        split.retain(|window| !informed(window));
        left_out += before - split.len();
        if split.is_empty() && before > 0 {
            return Err(DataError::InvalidOption(format!(
                "all {name} windows begin to forecast in gaps that are filled by the line to a \
                 later value; choose another fill policy"
            )));
        }
    }
    if left_out > 0 {
        notes.push(format!(
            "{left_out} windows begin to forecast in a gap that is filled by the line to a later \
             value: left out"
        ));
    }
    Ok(())
}

/// Removes validation and test windows of series whose categories do not occur in training.
fn leave_out_unknown(
    splits: &mut Splits,
    covariates: &Covariates,
    (names, table): (&[String], &SeriesTable),
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let mut unknown = vec![false; names.len()];
    for window in splits.validation.iter().chain(&splits.test) {
        let series = window.series as usize;
        if unknown[series] {
            continue;
        }
        if let Some((column, category)) = covariates.unknown_category(table, series) {
            unknown[series] = true;
            notes.push(format!(
                "{}: no window for training has its `{column}`, {category:?}: left out",
                names[series]
            ));
        }
    }
    for (name, split) in [("validation", &mut splits.validation), ("test", &mut splits.test)] {
        let before = split.len();
        split.retain(|window| !unknown[window.series as usize]);
        if split.is_empty() && before > 0 {
            let what = format!("no {name} window has categories that a window for training has");
            return Err(DataError::InvalidOption(what));
        }
    }
    Ok(())
}

/// The split of a row: the split of the targets in that row. Rows before the first validation
/// target belong to training.
fn split_of(ranges: &SeriesRanges, row: usize) -> &'static str {
    match row {
        _ if row < ranges.first_validation_target => "training",
        _ if row < ranges.first_test_target => "validation",
        _ => "test",
    }
}

/// Rejects standardised values beyond [`LARGEST_STANDARDISED`] in these rows. `place` adds
/// information on a row to the message.
fn check_domain(
    series: &str,
    values: &[f64],
    mut rows: Range<usize>,
    place: impl FnOnce(usize) -> String,
) -> Result<(), DataError> {
    match rows.find(|&row| values[row].abs() > LARGEST_STANDARDISED) {
        None => Ok(()),
        Some(row) => Err(DataError::TooLarge {
            series: series.to_owned(),
            row,
            place: place(row),
            value: values[row],
            most: LARGEST_STANDARDISED,
        }),
    }
}
