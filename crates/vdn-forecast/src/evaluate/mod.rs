//! Forecasters on windows: as networks of the trainer, with all test metrics, and together with the
//! baselines.

pub(crate) mod breakdown;
pub(crate) mod compare;
#[expect(clippy::module_inception, reason = "the room and its main function have one name")]
pub(crate) mod evaluate;
pub(crate) mod inference;
pub(crate) mod network;
pub(crate) mod predicted_row;
pub(crate) mod probts;
pub(crate) mod wholes;

pub use compare::{ridge, seasonal_naive};
pub use evaluate::{ForecastEvaluator, evaluate, forecast};
pub use inference::{Inference, evaluate_moments, forecast_moments};
pub use probts::ProbTsScores;
pub use wholes::{AggregateSummary, BlockSummary, JointSummary, PATHS, UnitShare, WholeScores};
