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

/// Standardised values that a constant has, by rounding.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Standardised series, the scaler that undoes it, and the windows of each split.
///
/// Values are `f64`; whoever fills a batch says how they become the model's numbers.
#[derive(Debug, Clone)]
pub struct Dataset {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    /// The same with the last value in the place of missing ones, where there are any.
    filled: Option<Vec<Vec<f64>>>,
    scaler: Scaler,
    splits: Splits,
    spec: WindowSpec,
    /// Where the rows stand in time; without values.
    rows: SeriesTable,
    notes: Vec<String>,
    covariates: Covariates,
    /// Of each series, its categories among all.
    categories: Vec<Vec<usize>>,
}

impl Dataset {
    /// Splits and standardises series, whose lengths may differ.
    ///
    /// A series that is skipped as too short has no window; it is standardised by all its rows.
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
    /// Those of [`WindowSpec::split`] and [`Scaler::fit`]; [`DataError::BadSeries`] for a value
    /// that is not finite; [`DataError::TooLarge`] for a row of any split that is more than
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

    /// Splits and standardises the series of a table, which keep their dates.
    ///
    /// # Errors
    ///
    /// As for [`Dataset::new`]; [`DataError::InvalidOption`] where no window of a split is left,
    /// because all of them begin to forecast in gaps that were filled from later values.
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
            // Rows behind the last target are in no window.
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
        // Scales are those of series that train: others may have no rows before validation.
        let known = |series: usize| splits.ranges[series].as_ref().map_or(0, |_| fitted(series));
        let mut covariates = Covariates::of(&table, names.len(), known)?;
        for (series, ranges) in splits.ranges.iter().enumerate() {
            let Some(ranges) = ranges else { continue };
            // The last window begins to forecast in the row before `test.end`.
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

    /// Names of the series.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Standardised values, one vector for each series; NaN where a value is missing.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// What was done to the rows, and what is suspicious about them, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The step of the rows and the form of their dates; `None` where times are not known.
    pub fn calendar(&self) -> Option<&Calendar> {
        self.rows.calendar()
    }

    /// The date of a row of a series, also beyond its last one; `None` where times are not known.
    pub fn date(&self, series: usize, row: usize) -> Option<String> {
        self.rows.date(series, row)
    }

    /// What was subtracted from a series before it was standardised: 0, unless its values are
    /// integers beyond 2^53.
    pub fn offset(&self, series: usize) -> i128 {
        self.rows.offset(series)
    }

    /// What the series were standardised with.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The windows of each split.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The windows' form and protocol.
    pub fn spec(&self) -> &WindowSpec {
        &self.spec
    }

    /// Copies windows into a batch: `current` and `previous` are `[windows, L]`, `target`
    /// `[windows, H]`, row-major. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] when a buffer has another size or a window reaches out of its
    /// series; the buffers then hold no batch.
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

    /// Copies the inputs that lie `lag` strides before the windows: 0 the current input, 1 the
    /// previous one, 2 its own predecessor. `inputs` is `[windows, L]`, row-major.
    ///
    /// # Errors
    ///
    /// As for [`Dataset::fill_batch`].
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

    /// Copies the targets of windows, NaN where one is missing. `targets` is `[windows, H]`,
    /// row-major.
    ///
    /// # Errors
    ///
    /// As for [`Dataset::fill_batch`].
    pub fn fill_targets<T>(
        &self,
        windows: &[WindowIndex],
        targets: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
    ) -> Result<(), DataError> {
        let of = (windows, self.spec.horizon);
        self.fill("fill_targets", &self.columns, of, targets, convert, Some)
    }

    /// Copies `length` rows for each window, from the row that `start` makes of its `t`.
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

/// Leaves out windows that begin to forecast in a gap which was filled from the value behind it:
/// their inputs would know that value.
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

/// Leaves out windows of series without any for training, whose categories no other series has:
/// nothing is learnt of them.
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

/// The split whose targets, or inputs before its first target, a row belongs to.
fn split_of(ranges: &SeriesRanges, row: usize) -> &'static str {
    match row {
        _ if row < ranges.first_validation_target => "training",
        _ if row < ranges.first_test_target => "validation",
        _ => "test",
    }
}

/// Refuses standardised values in these rows beyond [`LARGEST_STANDARDISED`]; `place` says more
/// about a row.
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
