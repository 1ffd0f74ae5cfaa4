//! [`Inference`]: predictive distributions by samples or by moments, and all that is done by moments.

use crate::data::WindowIndex;
use crate::evaluate::evaluate::{ForecastEvaluator, forecast};
use crate::evaluate::predicted_row::{PredictedRow, WindowAverages};
use crate::forecaster::Prediction;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::EVALUATION_BATCH;
use vdn_train::metrics::{ScoreSettings, Summary};

/// How a predictive distribution is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inference {
    /// By samples of the units: a mixture of normals.
    #[default]
    Samples,
    /// By moments, without samples: the normal distribution with the model's mean and variance
    /// ([`Forecaster::predict_moments`](crate::forecaster::Forecaster::predict_moments)).
    Moments,
}

/// All metrics on windows of the normal distributions that have the model's predictive mean and
/// variance ([`Forecaster::predict_moments`](crate::forecaster::Forecaster::predict_moments)): no
/// sample is drawn.
///
/// # Errors
/// Windows that do not fit the model; a model without such moments; a moment that is not finite.
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

/// [`forecast`] by moments: for every window and step the normal distribution with the model's
/// predictive mean and variance.
///
/// # Errors
/// Those of [`evaluate_moments`].
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
        // A closed form is both.
        _ if evaluator.network.has_closed_form() => forecast(evaluator, windows),
        Inference::Samples => forecast(evaluator, windows),
        Inference::Moments => forecast_moments(evaluator, windows),
    }
}
