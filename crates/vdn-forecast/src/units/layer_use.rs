//! [`layer_use`]: what the information of units is worth downstream.

use crate::data::{Dataset, WindowIndex};
use crate::evaluate::evaluate::{
    PredictedRow, block_length, crps_under, forecast_under, per_window,
};
use crate::forecaster::{Forecaster, Intervention};
use crate::run::experiment::predictive_score;
use serde::Serialize;
use vdn_model::Parameters;
use vdn_tensor::Element;
use vdn_train::BatchAverages;
use vdn_train::EVALUATION_BATCH;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;
use vdn_train::metrics::{BlockSums, window_crps, window_nll};

/// What the information of all units together, or of those of one layer, is worth downstream, against what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerUse {
    /// Windows behind it.
    pub windows: usize,
    /// The mean log-likelihood of a window's target given a sample of the latent, nats per window
    /// ([`Prediction::log_likelihood`](vdn_forecast::Prediction::log_likelihood)).
    pub likelihood: f64,
    /// The same with the latent drawn from the prior.
    pub prior_likelihood: f64,
    /// Their difference: what the units bring, nats per window.
    pub value: f64,
    /// Its block standard error; `None` with too few windows.
    pub value_error: Option<f64>,
    /// What the units bring by the model's own predictive score, which mixes over samples before the logarithm, nats per
    /// window: `H (score(z ~ p) - score(z ~ q))`.
    pub score_value: f64,
    /// Its block standard error; `None` with too few windows.
    pub score_value_error: Option<f64>,
    /// The sum of all KLs: what they cost, nats per window.
    pub kl: f64,
    /// Value less cost.
    pub net: f64,
    /// The exact CRPS.
    pub crps: f64,
    /// The same with latents swapped between windows.
    pub crps_permuted: f64,
}

impl LayerUse {
    /// Whether the units are used: what they bring exceeds two standard errors.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.value > 2.0 * self.value_error.unwrap_or(f64::INFINITY)
    }

    /// The same by the model's own predictive score. The mean over samples of a log-likelihood also pays for the spread
    /// of the samples, which a mixture is free to use: a layer may pass here and not there.
    #[must_use]
    pub fn is_used_by_score(&self) -> bool {
        self.score_value > 2.0 * self.score_value_error.unwrap_or(f64::INFINITY)
    }
}

/// Means of several columns over windows, and their block standard errors; NaN for none.
pub(crate) fn estimates(
    data: &Dataset,
    windows: &[WindowIndex],
    columns: usize,
    value: impl Fn(usize, &mut [f64]),
) -> Result<BlockSums, TrainError> {
    let mut sums = BlockSums::new(columns, block_length(data, windows))?;
    let mut row = vec![0.0; columns];
    for (i, window) in windows.iter().enumerate() {
        if i > 0 && windows[i - 1].series != window.series {
            sums.start_series();
        }
        value(i, &mut row);
        sums.push(&row)?;
    }
    Ok(sums)
}

/// What all units together bring and cost on windows, or those of one layer (from 0), with the others as they are; `kl` is
/// the sum of their KLs in nats per window.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn layer_use<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    layer: Option<usize>,
    kl: f64,
) -> Result<LayerUse, TrainError> {
    let noise = noise.into();
    let horizon = data.spec().horizon as f64;
    let rule = predictive_score(model.score());
    // Of each window: the mean log-likelihood over samples and the predictive score, nats, and the CRPS.
    let of = |intervention| -> Result<Vec<[f64; 3]>, TrainError> {
        let mut all = Vec::with_capacity(windows.len());
        let predictions = forecast_under(model, parameters, data, windows, noise, intervention)?;
        for (prediction, windows) in predictions.iter().zip(windows.chunks(EVALUATION_BATCH)) {
            all.extend(per_window(data, windows, |row, target| {
                let likelihood = prediction.window_log_likelihood(row, target);
                PredictedRow::new(prediction, row).score(target, |predicted, target| {
                    let score = -horizon * window_nll(predicted, target)?.of(rule);
                    Ok([likelihood, score, window_crps(predicted, target)?])
                })
            })?);
        }
        Ok(all)
    };
    let (blind, mixed) = match layer {
        None => (Intervention::Prior, Intervention::Permute),
        Some(layer) => (Intervention::LayerPrior(layer), Intervention::LayerPermute(layer)),
    };
    let (with, without) = (of(Intervention::None)?, of(blind)?);
    let sums = estimates(data, windows, 5, |i, to| {
        let ([a, c, crps], [b, d, _]) = (with[i], without[i]);
        to.copy_from_slice(&[a, b, a - b, c - d, crps]);
    })?;
    let averages = BatchAverages::default();
    let (value, score) = (sums.estimate(2)?, sums.estimate(3)?);
    Ok(LayerUse {
        windows: windows.len(),
        likelihood: sums.estimate(0)?.mean,
        prior_likelihood: sums.estimate(1)?.mean,
        value: value.mean,
        value_error: value.standard_error,
        score_value: score.mean,
        score_value_error: score.standard_error,
        kl,
        net: value.mean - kl,
        crps: sums.estimate(4)?.mean,
        crps_permuted: crps_under(model, parameters, data, windows, noise, averages, mixed)?,
    })
}
