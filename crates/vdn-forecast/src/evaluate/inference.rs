//! [`Inference`]: predictive distributions by samples or by moments, and all that is done by moments.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::evaluate::evaluate::{PredictedRow, WindowAverages, forecast};
use crate::forecaster::{Forecaster, Prediction};
use vdn_model::Parameters;
use vdn_tensor::Element;
use vdn_train::BatchAverages;
use vdn_train::EVALUATION_BATCH;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;
use vdn_train::metrics::{ScoreSettings, Summary};

/// How a predictive distribution is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inference {
    /// By samples of the units: a mixture of normals.
    #[default]
    Samples,
    /// By moments, without samples: the normal distribution with the model's mean and variance
    /// ([`Forecaster::predict_moments`]).
    Moments,
}

/// The predictive distributions of windows by their moments, as normal distributions, without samples.
fn by_moments<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
) -> Result<Prediction, TrainError> {
    let mut buffers = BatchBuffers::default();
    let batch = buffers.fill(data, windows, false)?;
    Ok(model.predict_moments(parameters, &batch)?.normal())
}

/// All metrics on windows of the normal distributions that have the model's predictive mean and variance
/// ([`Forecaster::predict_moments`]): no sample is drawn.
///
/// # Errors
/// Windows that do not fit the model; a model without such moments; a moment that is not finite.
pub fn evaluate_moments<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    averages: BatchAverages,
) -> Result<Summary, TrainError> {
    let mut scores = WindowAverages::new(ScoreSettings::default(), data, windows)?;
    for chunk in windows.chunks(averages.batch.max(1)) {
        let prediction = by_moments(model, parameters, data, chunk)?;
        let weight = averages.weight(windows.len(), chunk.len());
        scores.push(data, chunk, weight, |row| PredictedRow::new(&prediction, row))?;
    }
    scores.summary()
}

/// [`forecast`] by moments: for every window and step the normal distribution with the model's predictive mean and variance.
///
/// # Errors
/// Those of [`evaluate_moments`].
pub fn forecast_moments<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
) -> Result<Vec<Prediction>, TrainError> {
    let chunks = windows.chunks(EVALUATION_BATCH);
    chunks.map(|chunk| by_moments(model, parameters, data, chunk)).collect()
}

/// [`forecast`] by samples or by moments.
pub(crate) fn forecast_by<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: NoiseSeed,
    inference: Inference,
) -> Result<Vec<Prediction>, TrainError> {
    match inference {
        Inference::Samples => forecast(model, parameters, data, windows, noise),
        Inference::Moments => forecast_moments(model, parameters, data, windows),
    }
}
