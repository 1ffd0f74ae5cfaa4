//! Missing values that stay missing. They are excluded as targets; in inputs the last value before
//! them is repeated.

use crate::data::dataset::Dataset;
use crate::data::windows::{Splits, WindowIndex, WindowSpec};
use vdn_train::data::DataError;

impl Dataset {
    /// Returns [`Dataset::columns`] with each missing value replaced by the last value before it.
    /// Inputs of windows are taken from these columns.
    pub fn filled(&self) -> &[Vec<f64>] {
        self.filled.as_ref().unwrap_or(&self.columns)
    }

    /// Whether the dataset has missing values.
    pub fn has_missing(&self) -> bool {
        self.filled.is_some()
    }

    /// Copies the targets of windows, with each missing value replaced by the last value before it.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::fill_batch`].
    pub(crate) fn fill_filled_targets(
        &self,
        windows: &[WindowIndex],
        targets: &mut [f64],
    ) -> Result<(), DataError> {
        let of = (windows, self.spec.horizon);
        self.fill("fill_targets", self.filled(), of, targets, |x| x, Some)
    }

    /// Returns the fraction of a window's targets that are not missing; 1 if none is missing.
    pub(crate) fn share_of_targets(&self, window: WindowIndex) -> f64 {
        if !self.has_missing() {
            return 1.0;
        }
        let (series, t) = (window.series as usize, window.t as usize);
        let targets = self.columns.get(series).and_then(|all| all.get(t..t + self.spec.horizon));
        let there = targets.map_or(0, |rows| rows.iter().filter(|y| !y.is_nan()).count());
        there as f64 / self.spec.horizon as f64
    }

    /// Returns the windows without missing targets.
    pub(crate) fn complete(&self, windows: &[WindowIndex]) -> Vec<WindowIndex> {
        let is_there = |window: &&WindowIndex| {
            let (series, t) = (window.series as usize, window.t as usize);
            let targets = &self.columns[series][t..t + self.spec.horizon];
            !targets.iter().any(|value| value.is_nan())
        };
        windows.iter().filter(is_there).copied().collect()
    }
}

/// Replaces each missing value by the last value before it. Returns `None` if no value is missing.
/// Every series begins with a value.
pub(super) fn filled(columns: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let is_missing = |column: &Vec<f64>| column.iter().any(|value| value.is_nan());
    if !columns.iter().any(is_missing) {
        return None;
    }
    let of = |column: &Vec<f64>| {
        let mut last = 0.0;
        let value = |&value: &f64| {
            if !value.is_nan() {
                last = value;
            }
            last
        };
        column.iter().map(value).collect()
    };
    Some(columns.iter().map(of).collect())
}

/// Removes windows that have no value in their input, or no target.
pub(super) fn leave_out_empty(
    splits: &mut Splits,
    columns: &[Vec<f64>],
    spec: &WindowSpec,
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let has_values = |window: &WindowIndex| {
        let (column, t) = (&columns[window.series as usize], window.t as usize);
        let any = |rows: &[f64]| rows.iter().any(|value| !value.is_nan());
        any(&column[t - spec.input_len..t]) && any(&column[t..t + spec.horizon])
    };
    let mut left_out = 0;
    for (name, split) in [
        ("training", &mut splits.train),
        ("validation", &mut splits.validation),
        ("test", &mut splits.test),
    ] {
        let before = split.len();
        split.retain(has_values);
        left_out += before - split.len();
        if split.is_empty() && before > 0 {
            let what = format!("no {name} window has values in its input and its targets");
            return Err(DataError::InvalidOption(what));
        }
    }
    if left_out > 0 {
        notes.push(format!(
            "{left_out} windows have no value in their input, or no target: left out"
        ));
    }
    Ok(())
}
