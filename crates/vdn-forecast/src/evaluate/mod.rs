//! A forecaster on windows: validation after every epoch, all metrics for a test, and the baselines beside it.

pub(crate) mod choose;
pub(crate) mod compare;
pub(crate) mod evaluate;
pub(crate) mod inference;
pub(crate) mod validation;

pub use compare::{ridge, seasonal_naive};
pub use evaluate::{block_length, evaluate, forecast, mean_crps, mean_log_likelihood};
pub use inference::{Inference, evaluate_moments, forecast_moments};
pub use validation::{Evaluation, INFORMED, LayerEvaluation, validate, validate_under};
