//! Scores of the predictions of a trained network.

mod auroc;
mod calibration_error;
mod classification;
mod decision;
mod mixture;
mod predictive;
mod regression;
mod scores;

pub use auroc::auroc;
pub use calibration_error::{BINS, Bins, calibration_error};
pub use classification::{ClassPrediction, ClassificationScores, score_classification};
pub use decision::{Costs, Decision, decide};
pub use predictive::{Outlier, Predictive};
pub use regression::{RegressionScores, TargetScores, score_regression};
pub use scores::TaskScores;
