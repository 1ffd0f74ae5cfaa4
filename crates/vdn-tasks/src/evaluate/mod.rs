//! How the predictions of a trained network are scored.

mod predictive;
mod regression;
mod scores;

pub use predictive::Predictive;
pub use regression::{RegressionScores, TargetScores, score_regression};
pub use scores::TaskScores;
