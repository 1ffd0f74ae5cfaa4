//! Series: tables to standardised series, series to windows, windows to batches.
//!
//! | from | to | file |
//! |---|---|---|
//! | the embedded series | [`Table`](vdn_train::data::Table) | `demo.rs` |
//! | a table and a [`WindowSpec`] | [`Dataset`] | `dataset.rs` (`windows.rs`) |
//! | windows by index | [`Batch`](crate::Batch) | `batch.rs` |
//! | dates | [`SeasonalPeriod`] | `period.rs` |
//! | dates | [`BlockLength`]: days and weeks | `blocks.rs` |

pub(crate) mod batch;
pub(crate) mod blocks;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod period;
pub(crate) mod windows;

pub use blocks::{BlockLength, block_lengths};
pub use dataset::{Dataset, LARGEST_STANDARDISED};
pub use demo::{DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, demo, demo_with};
pub use period::{SeasonalPeriod, infer_step, parse_date, seasonal_period};
pub use windows::{
    BenchmarkSplit, MaxWindows, Protocol, SeriesRanges, Splits, WindowIndex, WindowSpec,
};
