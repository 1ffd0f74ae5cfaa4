//! Runs: from a configuration to a directory with weights, scores and a report on the units.
//! Interrupted runs can be resumed.

mod aggregate_of;
pub(crate) mod backtest;
pub(crate) mod backtest_scores;
pub(crate) mod contestants;
pub(crate) mod directory;
mod divergence;
pub(crate) mod experiment;
mod forecast_file;
pub(crate) mod forecast_format;
pub(crate) mod forecast_run;
mod latest;
pub(crate) mod memory;
mod probts_table;
pub(crate) mod report;
mod scales;
pub(crate) mod train_run;
mod whole_forecast;
pub(crate) mod whole_table;

pub use aggregate_of::{AggregateKind, AggregateOf};
pub use backtest::{Backtest, BacktestOptions, backtest};
pub use backtest_scores::{BacktestScores, Calibrated};
pub use directory::RunDirectory;
pub use experiment::{evaluate_run, evaluate_run_by};
pub use forecast_format::ForecastFormat;
pub use forecast_run::{
    ForecastContent, ForecastOptions, Forecasts, forecast_run, forecast_run_by,
};
pub use memory::{RunMemory, RunSizes};
pub use report::{Report, Row};
pub use train_run::{Stage, interruptible_run, resume_run, train_run};
