//! Runs: training from a configuration to a directory with weights, scores and a report on the
//! units; resuming; and predictions of new rows.

mod calibration;
mod evaluate_run;
pub(crate) mod experiment;
pub(crate) mod fit;
mod memory;
mod predict_run;
pub(crate) mod report;
pub(crate) mod source;
mod splits_report;
pub(crate) mod splits_run;
pub(crate) mod spread;
pub(crate) mod train_run;

pub use evaluate_run::evaluate_task;
pub(crate) use evaluate_run::stored_run;
pub use fit::Stage;
pub use predict_run::{PredictFrom, Predictions, predict_task};
pub use report::{TaskReport, TaskRow};
pub use splits_report::{SplitMean, SplitMeans, SplitScores};
pub use train_run::{resume_task, train_task};
