//! Runs: from a configuration to a directory with weights, scores and a verdict.

pub(crate) mod directory;
pub(crate) mod examine;
pub(crate) mod experiment;
pub(crate) mod forecast_run;
pub(crate) mod memory;

pub use directory::RunDirectory;
pub use experiment::{Stage, evaluate_run, evaluate_run_by, train_run};
pub use forecast_run::{forecast_run, forecast_run_by};
pub use memory::{RunMemory, RunSizes, default_limit, free_memory};
