//! Covariate columns: their names, and their values on the rows of a group.

use crate::data::read::rows::RawColumn;
use crate::data::time::Progressions;
use std::sync::Arc;
use vdn_train::data::{DataError, Fill};

/// The names of covariate columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SideNames {
    /// The columns that are known until a forecast begins.
    pub(crate) past: Vec<String>,
    /// The columns that are known ahead.
    pub(crate) future: Vec<String>,
    /// The columns that do not change within a series.
    pub(crate) statics: Vec<String>,
}

impl SideNames {
    /// Returns the number of numeric columns.
    pub(in crate::data) fn numbers(&self) -> usize {
        self.past.len() + self.future.len()
    }
}

/// The covariates of a group's rows. The series of the group share them.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct Side {
    /// The numeric columns: `past` columns first, then `future` columns. The latter may be longer
    /// than the series.
    pub(in crate::data) columns: Vec<Vec<f64>>,
    /// The cells of static columns.
    pub(in crate::data) statics: Vec<String>,
}

/// The start of the rows in which all numeric covariate columns have values.
pub(super) struct Begin {
    /// The first such row.
    pub(super) row: usize,
    /// The column that begins last.
    pub(super) column: String,
}

/// Adds notes on missing values of a covariate column up to row `end`.
pub(super) fn tell(
    name: &str,
    column: &RawColumn,
    lines: &Progressions,
    end: usize,
    fill: Fill,
    notes: &mut Vec<String>,
) {
    let rows = &column.values[..end.min(column.values.len())];
    let first = rows.iter().position(|value| !value.is_nan());
    if let (None, Fill::Value(value)) = (first, fill) {
        notes.push(format!("{name}: has no value in the rows, and is {value} in all of them"));
        return;
    }
    // A constant also fills the rows before the first value.
    let first = match fill {
        Fill::Value(_) => 0,
        _ => first.unwrap_or(rows.len()),
    };
    // Missing rows are reported once, for all columns.
    let missing = |row: &usize| rows[*row].is_nan() && lines.get(*row) != Some(0);
    let cells = (first..rows.len()).filter(missing).count();
    if cells > 0 {
        let sentinels = column.sentinels;
        notes
            .push(format!("{name}: {cells} missing values filled ({sentinels} of them sentinels)"));
    }
}

/// Whether a covariate column has known values, and they are equal in all rows of all groups.
pub(super) fn is_constant<'a>(parts: impl Iterator<Item = &'a RawColumn>) -> bool {
    let of = |part: &'a RawColumn| {
        let known = part.values.iter().filter(|value| !value.is_nan());
        known.map(|value| value + part.offset as f64)
    };
    let mut known = parts.flat_map(of);
    known.next().is_some_and(|first| known.all(|value| value == first))
}

/// Fills missing values of covariate columns from earlier values only.
///
/// Columns that are known until a forecast begins end with the series, at row `end`. Rows before
/// the first value of a column stay NaN, unless a constant is filled in; series begin after these
/// rows.
///
/// # Errors
/// Fails with `missing` for a missing value without a fill policy, and with `empty` for a column
/// without values in the rows of the series.
pub(super) fn side(
    names: &SideNames,
    columns: Vec<RawColumn>,
    statics: Vec<String>,
    end: usize,
    fill: Fill,
    missing: impl Fn(&RawColumn, usize) -> DataError,
    empty: impl Fn(&RawColumn) -> DataError,
) -> Result<(Arc<Side>, Begin), DataError> {
    let mut found = Vec::with_capacity(columns.len());
    let mut begin = Begin { row: 0, column: String::new() };
    for (place, mut column) in columns.into_iter().enumerate() {
        if place < names.past.len() {
            column.values.truncate(end);
        }
        let known = column.values.iter().rposition(|value| !value.is_nan()).map_or(0, |at| at + 1);
        // A column that is known ahead is not filled after its last value.
        if place >= names.past.len() {
            column.values.truncate(known.max(end));
        }
        let leading = match fill {
            Fill::Value(_) => 0,
            _ => column.values.iter().take_while(|value| value.is_nan()).count(),
        };
        if leading >= end {
            return Err(empty(&column));
        }
        if leading > begin.row {
            begin = Begin { row: leading, column: column.name.clone() };
        }
        for row in leading..column.values.len() {
            if !column.values[row].is_nan() {
                continue;
            }
            column.values[row] = match fill {
                Fill::Value(value) => value,
                Fill::Forward | Fill::Linear => column.values[row - 1],
                Fill::Error => return Err(missing(&column, row)),
            };
        }
        let offset = column.offset as f64;
        if offset != 0.0 {
            column.values.iter_mut().for_each(|value| *value += offset);
        }
        found.push(column.values);
    }
    Ok((Arc::new(Side { columns: found, statics }), begin))
}
