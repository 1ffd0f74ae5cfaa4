//! Reads a file into series in order of time: [`SeriesTable`].
//!
//! ```text
//! file -> text      of typed columns: Parquet, Arrow            columnar/
//!      -> columns   which hold times, names, numbers            columns.rs and those it uses
//!      -> groups    the rows as they stand, series by series    rows.rs
//!      -> places    in order, on the calendar, once each        place.rs, axis.rs
//!      -> series    from their first value on, gaps filled      series.rs, side.rs, values.rs
//! ```
//!
//! Every change to the rows is reported in a note, or is an error with the line.

mod amounts;
mod axis;
mod columnar;
mod columns;
mod header;
mod index;
mod integers;
mod keys;
mod number_dates;
mod parts;
mod place;
mod rows;
mod sample;
mod series;
pub(crate) mod side;
mod table;
mod times;
mod values;

pub use table::SeriesTable;

use crate::data::support::Support;
use serde::{Deserialize, Serialize};
use vdn_train::data::{FileForm, Fill, Limits};

/// The column with the times of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeColumn {
    /// The column whose cells are dates, if there is one.
    #[default]
    Auto,
    /// The column with this name, or the `k`-th one for `#k`.
    Named(String),
    /// Times are not read: rows are equally spaced, in file order.
    None,
}

/// The treatment of rows with the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// They are an error that names the lines of the first two.
    #[default]
    Error,
    /// Their mean is taken.
    Mean,
    /// The last one in the file is taken.
    Last,
}

/// Options for reading series from a file.
///
/// ```
/// use vdn_forecast::data::{SeriesOptions, SeriesTable};
///
/// let text = b"date;load\n02.01.2020;2,5\n03.01.2020;3,5\n01.01.2020;1,5\n13.01.2020;4,5\n";
/// let fill = vdn_train::data::Fill::Forward;
/// let options = SeriesOptions { fill, ..SeriesOptions::default() };
/// let table = SeriesTable::from_bytes("f.csv", text, &options)?;
/// assert_eq!(table.columns[0][..4], [1.5, 2.5, 3.5, 3.5]);
/// assert_eq!(table.date(0, 12).as_deref(), Some("2020-01-13"));
/// # Ok::<(), vdn_train::data::DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesOptions {
    /// The format of the file: delimiter and numbers.
    pub form: FileForm,
    /// The limits on the size of the file.
    pub limits: Limits,
    /// The column with the times.
    pub time: TimeColumn,
    /// The format of dates, a `strptime` pattern; `None`: it is detected from the dates.
    pub date_format: Option<String>,
    /// The time zone of the file's clock, by its name in the IANA database; `None`: unknown, or
    /// given by the UTC offsets of the dates.
    pub zone: Option<String>,
    /// In long form, the column that names the series; `None`: it is detected.
    pub id_column: Option<String>,
    /// In long form, the column with the values; `None`: the only numeric column, or `y`.
    pub target_column: Option<String>,
    /// The series to use, in this order, by name or `#k`; `None`: all.
    pub columns: Option<Vec<String>>,
    /// The treatment of rows with the same time.
    pub duplicates: Duplicates,
    /// The treatment of missing values and missing rows.
    pub fill: Fill,
    /// Whether missing values and missing rows of the series stay missing (NaN). `fill` then
    /// applies only to covariate columns.
    pub mask: bool,
    /// Numbers that stand for a missing value.
    pub sentinels: Vec<f64>,
    /// Numeric covariate columns that are known until a forecast begins, by name or `#k`.
    pub past: Vec<String>,
    /// Numeric covariate columns that are known ahead. Rows after the last observation contain
    /// their values, but no values of the series.
    pub future: Vec<String>,
    /// In long form, columns whose cells do not change within a series.
    pub statics: Vec<String>,
    /// The possible values of the series; other values are an error.
    pub support: Support,
}
