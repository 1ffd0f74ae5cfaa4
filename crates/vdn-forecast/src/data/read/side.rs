//! Columns beside the series: their names, and their values on the rows of a group.

use crate::data::read::rows::RawColumn;
use std::sync::Arc;
use vdn_train::data::{DataError, Fill};

/// The names of columns beside the series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SideNames {
    /// Of columns that are known until a forecast begins.
    pub(crate) past: Vec<String>,
    /// Of columns that are known ahead.
    pub(crate) future: Vec<String>,
    /// Of columns that do not change within a series.
    pub(crate) statics: Vec<String>,
}

impl SideNames {
    /// Columns of numbers.
    pub(in crate::data) fn numbers(&self) -> usize {
        self.past.len() + self.future.len()
    }
}

/// What stands beside the rows of a group of series, which share it.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct Side {
    /// The columns of numbers, those that are known ahead behind the others; these may be longer
    /// than the series.
    pub(in crate::data) columns: Vec<Vec<f64>>,
    /// The cells of static columns.
    pub(in crate::data) statics: Vec<String>,
}

/// Fills what is missing in columns beside the series, from the past alone. Those that are known
/// until a forecast begins end with the series, in row `end`.
///
/// # Errors
/// A value is missing where no policy is chosen, or before the first one.
pub(super) fn side(
    names: &SideNames,
    columns: Vec<RawColumn>,
    statics: Vec<String>,
    end: usize,
    fill: Fill,
    missing: impl Fn(&RawColumn, usize) -> DataError,
) -> Result<Arc<Side>, DataError> {
    let mut found = Vec::with_capacity(columns.len());
    for (place, mut column) in columns.into_iter().enumerate() {
        if place < names.past.len() {
            column.values.truncate(end);
        }
        let known = column.values.iter().rposition(|value| !value.is_nan()).map_or(0, |at| at + 1);
        // Behind its last value a column that is known ahead is not known.
        if place >= names.past.len() {
            column.values.truncate(known.max(end));
        }
        for row in 0..column.values.len() {
            if !column.values[row].is_nan() {
                continue;
            }
            column.values[row] = match (fill, row) {
                (Fill::Value(value), _) => value,
                (Fill::Forward | Fill::Linear, 1..) => column.values[row - 1],
                _ => return Err(missing(&column, row)),
            };
        }
        let offset = column.offset as f64;
        if offset != 0.0 {
            column.values.iter_mut().for_each(|value| *value += offset);
        }
        found.push(column.values);
    }
    Ok(Arc::new(Side { columns: found, statics }))
}
