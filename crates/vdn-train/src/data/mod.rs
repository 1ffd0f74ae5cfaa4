//! Data: files to tables, tables to standardised series, series to windows, windows to batches.
//!
//! | from | to | file |
//! |---|---|---|
//! | wide CSV, plain or gzip | [`Table`] | `table.rs` (`csv.rs`, `source.rs`, `fill.rs` below it) |
//! | the embedded series | [`Table`] | `demo.rs` |
//! | [`Table`] and [`WindowSpec`] | [`Dataset`] | `dataset.rs` (`windows.rs`, `scaling.rs`) |
//! | dates | [`SeasonalPeriod`] | `period.rs` |
//! | features and targets | [`Tabular`] | `tabular.rs` |
//! | IDX files (MNIST) | [`ImageSet`] | `idx.rs` |
//!
//! Everything is `f64` here; a batch is filled through a conversion given by the caller. Nothing
//! here is random: orders and permutations are arguments.

mod csv;
mod dataset;
mod demo;
mod error;
mod fill;
mod idx;
mod period;
mod scaling;
mod source;
mod table;
mod tabular;
mod windows;

pub use self::csv::MISSING_WORDS;
pub use self::dataset::Dataset;
pub use self::demo::{DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, demo, demo_with};
pub use self::error::DataError;
pub use self::fill::Fill;
pub use self::idx::{IdxArray, ImageSet};
pub use self::period::{SeasonalPeriod, infer_step, parse_date, seasonal_period};
pub use self::scaling::{FitScope, Scaler};
pub use self::table::{
    ColumnReport, DATE_NAMES, DateColumn, LoadReport, SUSPICIOUS_SENTINEL, Table, TableOptions,
};
pub use self::tabular::{RowSplit, Tabular};
pub use self::windows::{
    BenchmarkSplit, MaxWindows, Protocol, SeriesRanges, Splits, WindowIndex, WindowSpec,
};
