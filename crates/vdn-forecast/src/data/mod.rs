//! Series data: tables are read into standardised series, series are cut into windows, and windows
//! are collected into batches.
//!
//! | from | to | file |
//! |---|---|---|
//! | the embedded series | [`Table`](vdn_train::data::Table) | `demo.rs` |
//! | files, wide or long | [`SeriesTable`] | `read/` (`time/`) |
//! | a table and a [`WindowSpec`] | [`Dataset`] | `dataset/` (`windows.rs`) |
//! | windows by index | [`Batch`](crate::forecaster::Batch) | `batch.rs` |
//! | a table | [`Covariates`]: data of windows other than their values | `covariates.rs` |
//! | a calendar and values | [`SeasonalPeriod`] | `period.rs` |
//! | possible values of series | [`Support`] | `support.rs` |
//! | a calendar | [`BlockLength`]: days and weeks | `blocks.rs` |

pub(crate) mod batch;
pub(crate) mod blocks;
pub(crate) mod covariates;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod period;
mod read;
pub(crate) mod support;
pub mod time;
pub(crate) mod windows;

pub use blocks::{BlockLength, block_lengths};
pub use covariates::{Covariates, SideColumn, StaticColumn};
pub use dataset::Dataset;
pub use demo::{DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, demo, demo_series};
pub use period::{SeasonalPeriod, seasonal_period};
pub use read::{Duplicates, SeriesOptions, SeriesTable, TimeColumn};
pub use support::Support;
pub use windows::{
    BenchmarkSplit, MaxWindows, PROBTS_STRIDE, Protocol, SeriesRanges, Splits, WindowIndex,
    WindowSpec,
};
