//! [`Inference`]: predictive distributions by samples or by moments, and the evaluation by moments.

use crate::data::WindowIndex;
use crate::evaluate::evaluate::{ForecastEvaluator, forecast};
use crate::evaluate::predicted_row::{PredictedRow, WindowAverages};
use crate::forecaster::Prediction;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::EVALUATION_BATCH;
use vdn_train::metrics::{ScoreSettings, Summary};

/// The method that computes a predictive distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inference {
    /// Samples of the units: a mixture of normal distributions.
    #[default]
    Samples,
    /// Moments, without samples: the normal distribution with the model's mean and variance
    /// ([`Forecaster::predict_moments`](crate::forecaster::Forecaster::predict_moments)).
    Moments,
}

/// Returns all metrics on windows for the normal distributions with the model's predictive mean and
/// variance ([`Forecaster::predict_moments`](crate::forecaster::Forecaster::predict_moments)). No
/// sample is drawn.
///
/// # Errors
/// Fails for windows that do not fit the model, for a model without such moments, and for a moment
/// that is not finite.
pub fn evaluate_moments<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
) -> Result<Summary, TrainError> {
    let (averages, data) = (evaluator.averages, evaluator.data);
    let mut scores = WindowAverages::new(ScoreSettings::default(), data, windows)?;
    evaluator.for_each_batch(windows, averages.batch, Request::INPUTS, |_, batch, chunk| {
        let prediction = evaluator.network.predict_moments(evaluator.parameters, batch)?.normal();
        let weight = averages.weight(windows.len(), chunk.len());
        scores.push(data, chunk, weight, |row| PredictedRow::new(&prediction, row))
    })?;
    scores.summary()
}

/// [`forecast`] by moments: for every window and step, the normal distribution with the model's
/// predictive mean and variance.
///
/// # Errors
/// The errors of [`evaluate_moments`].
pub fn forecast_moments<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
) -> Result<Vec<Prediction>, TrainError> {
    let mut all = Vec::new();
    evaluator.for_each_batch(windows, EVALUATION_BATCH, Request::INPUTS, |_, batch, _| {
        all.push(evaluator.network.predict_moments(evaluator.parameters, batch)?.normal());
        Ok(())
    })?;
    Ok(all)
}

/// [`forecast`] by samples or by moments.
pub(crate) fn forecast_by<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
    inference: Inference,
) -> Result<Vec<Prediction>, TrainError> {
    match inference {
        // With a closed form, both methods give the same distribution.
        _ if evaluator.network.has_closed_form() => forecast(evaluator, windows),
        Inference::Samples => forecast(evaluator, windows),
        Inference::Moments => forecast_moments(evaluator, windows),
    }
}
