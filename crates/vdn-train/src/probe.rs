//! [`probe`]: what is measured of the units on a small fixed set of windows, because it costs passes of its own.
//!
//! | measure | cost, N = 1024, L 336, H 96, 128 windows, two cores |
//! |---|---|
//! | use of the layer: `LL(z ~ q) - LL(z ~ p)`, CRPS with z permuted | four evaluation passes |
//! | mutual information, persistence | three passes of the encoder and 36 exponentials per window and unit |
//! | use of every unit, 4 samples | 2 N windows samples activations of the head's hidden layer and its output maps |
//!
//! The probe set is evenly spaced over the validation windows and the same in every epoch, as is all noise. Standard
//! errors are those of blocks of windows whose targets overlap.

use crate::batch::BatchBuffers;
use crate::config::DiagnosticsConfig;
use crate::data::{Dataset, WindowIndex};
use crate::error::TrainError;
use crate::evaluate::{BatchAverages, EVALUATION_BATCH, PredictedRow, evaluate, forecast_under};
use crate::experiment::predictive_score;
use crate::metrics::{BlockSums, Estimate, WindowPrediction, overlap_block, window_nll};
use crate::noise_seed::NoiseSeed;
use serde::Serialize;
use std::time::Instant;
use vdn_model::diagnostics::{MutualInformation, Persistence, UnitUse, mutual_information};
use vdn_model::{Forecaster, Intervention, Parameters, Posteriors, Prediction, Variant};
use vdn_tensor::Element;

/// The training step that a probe's noise is addressed by: no training step reaches it.
const STEP: u32 = u32::MAX - 2;

/// What the information of all units together is worth downstream, against what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerUse {
    /// Windows behind it.
    pub windows: usize,
    /// The mean log-likelihood of a window's target given a sample of the latent, nats per window.
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

/// What a probe came to.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Windows of the probe set.
    pub windows: usize,
    /// All units together.
    pub layer: LayerUse,
    /// The information of each latent dimension about the window.
    pub information: MutualInformation,
    /// The autocorrelation `rho` of each latent dimension between windows that share no row; `None` where the series are
    /// too short for that.
    pub rho: Option<Vec<f64>>,
    /// The rate of each latent dimension that is left when its mean `stride` rows earlier is known.
    pub rate_given_past: Option<Vec<f64>>,
    /// Each unit alone.
    pub unit_use: UnitUse,
    /// Wall-clock seconds: layer, information and persistence, units.
    pub seconds: [f64; 3],
}

/// At most `count` of `windows`, evenly spaced: the `floor((2i + 1) n / 2m)`-th of `n`.
fn evenly(windows: &[WindowIndex], count: usize) -> Vec<WindowIndex> {
    let (n, m) = (windows.len(), count.min(windows.len()));
    (0..m).map(|i| windows[(2 * i + 1) * n / (2 * m)]).collect()
}

/// Means of several columns over windows, and their block standard errors; NaN for none.
fn estimates(
    data: &Dataset,
    windows: &[WindowIndex],
    columns: usize,
    value: impl Fn(usize, &mut [f64]),
) -> Result<BlockSums, TrainError> {
    let pairs = windows.windows(2).filter(|w| w[0].series == w[1].series && w[0].t < w[1].t);
    let spacing = pairs.map(|w| w[1].t - w[0].t).min().unwrap_or(1);
    let mut sums = BlockSums::new(columns, overlap_block(data.spec().horizon, spacing as usize))?;
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

/// The mean over samples of the log-likelihood of each window's target, nats per window.
fn log_likelihoods(prediction: &Prediction, target: &[f64]) -> Vec<f64> {
    let [samples, batch, horizon] = prediction.shape;
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
    let of = |row: usize| {
        let mut sum = 0.0;
        for s in 0..samples {
            for h in 0..horizon {
                let sigma = prediction.sigma[row * horizon + h];
                let mean = prediction.means[(s * batch + row) * horizon + h];
                let r = (target[row * horizon + h] - mean) / sigma;
                sum -= 0.5 * r * r + sigma.ln() + half_log_tau;
            }
        }
        sum / samples as f64
    };
    (0..batch).map(of).collect()
}

/// What all units together bring and cost on windows; `kl` is the sum of their KLs in nats per window.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn layer_use<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    kl: f64,
) -> Result<LayerUse, TrainError> {
    let noise = noise.into();
    let horizon = data.spec().horizon;
    let mut target = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut target, |x| x)?;
    let rule = predictive_score(model.score());
    // Of each window, nats: the mean log-likelihood over samples, and the predictive score.
    let of = |intervention| -> Result<Vec<[f64; 2]>, TrainError> {
        let predictions = forecast_under(model, parameters, data, windows, noise, intervention)?;
        let mut all = Vec::with_capacity(windows.len());
        for prediction in &predictions {
            let target = &target[all.len() * horizon..];
            for (row, likelihood) in log_likelihoods(prediction, target).into_iter().enumerate() {
                let PredictedRow { means, sigma, weights } = PredictedRow::new(prediction, row);
                let window = WindowPrediction::new(&means, &sigma, weights.as_deref(), horizon)?;
                let target = &target[row * horizon..][..horizon];
                let score = -(horizon as f64) * window_nll(&window, target)?.of(rule);
                all.push([likelihood, score]);
            }
        }
        Ok(all)
    };
    let (with, without) = (of(Intervention::None)?, of(Intervention::Prior)?);
    let sums = estimates(data, windows, 4, |i, to| {
        let ([a, c], [b, d]) = (with[i], without[i]);
        to.copy_from_slice(&[a, b, a - b, c - d]);
    })?;
    let averages = BatchAverages::default();
    let crps = |intervention| -> Result<f64, TrainError> {
        let (summary, _) =
            evaluate(model, parameters, data, windows, noise, intervention, averages)?;
        Ok(summary.crps.mean)
    };
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
        crps: crps(Intervention::None)?,
        crps_permuted: crps(Intervention::Permute)?,
    })
}

/// The posteriors of `windows`, each `lag` rows earlier; windows are visited in batches.
fn posteriors<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    lag: usize,
) -> Result<Posteriors, TrainError> {
    let mut buffers = BatchBuffers::<T>::default();
    let mut all = Posteriors::default();
    let earlier: Vec<WindowIndex> =
        windows.iter().map(|w| WindowIndex { t: w.t - lag as u32, ..*w }).collect();
    for chunk in earlier.chunks(EVALUATION_BATCH) {
        let batch = buffers.fill(data, chunk, false)?;
        let found = model.posteriors(parameters, &batch)?;
        all.dims = found.dims;
        all.mu.extend(found.mu);
        all.logvar.extend(found.logvar);
    }
    Ok(all)
}

/// Moments of the units for pairs of windows `lag` rows apart; `None` where fewer than two windows have one so much
/// earlier.
fn persistence<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    lag: usize,
) -> Result<Option<Persistence>, TrainError> {
    let first = data.spec().first_start() + lag;
    let late: Vec<WindowIndex> =
        windows.iter().copied().filter(|w| w.t as usize >= first).collect();
    if late.len() < 2 {
        return Ok(None);
    }
    let now = posteriors(model, parameters, data, &late, 0)?;
    let before = posteriors(model, parameters, data, &late, lag)?;
    let mut pairs = Persistence::new(now.dims);
    for row in 0..late.len() {
        let of = |x: &[f64]| -> std::ops::Range<usize> {
            debug_assert!(x.len() == late.len() * now.dims);
            row * now.dims..(row + 1) * now.dims
        };
        let at = of(&now.mu);
        pairs.push(
            [&now.mu[at.clone()], &before.mu[at.clone()]],
            [&now.logvar[at.clone()], &before.logvar[at]],
            &[],
        );
    }
    Ok(Some(pairs))
}

/// The units that get interventions: all, or so many evenly spaced ones.
fn probed_units(units: usize, wanted: usize) -> Vec<usize> {
    match wanted {
        0 => (0..units).collect(),
        _ => {
            let m = wanted.min(units);
            (0..m).map(|i| (2 * i + 1) * units / (2 * m)).collect()
        }
    }
}

/// The use of each unit; `kl` is the KL of each unit in nats per window, `[units]`.
fn unit_use<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: NoiseSeed,
    config: &DiagnosticsConfig,
    kl: &[f64],
) -> Result<UnitUse, TrainError> {
    let units = probed_units(model.config().units, config.units);
    let (n, w) = (units.len(), windows.len());
    let mut buffers = BatchBuffers::<T>::default();
    let (mut value, mut distance) = (vec![0.0; n * w], vec![0.0; n * w]);
    let mut variance = Vec::with_capacity(w);
    let mut start = 0;
    for (index, chunk) in windows.chunks(EVALUATION_BATCH).enumerate() {
        let key = noise.key(0, STEP).fold_in(index as u64);
        let batch = buffers.fill(data, chunk, true)?;
        let found = model.unit_effects(parameters, &batch, key, config.samples, &units)?;
        for (all, part) in [(&mut value, &found.value), (&mut distance, &found.distance)] {
            for (all, part) in all.chunks_mut(w).zip(part.chunks(chunk.len())) {
                all[start..start + chunk.len()].copy_from_slice(part);
            }
        }
        variance.extend(found.variance);
        start += chunk.len();
    }
    // Columns: values, distances, and twice the variance that distances are a share of.
    let sums = estimates(data, windows, 2 * n + 1, |row, to| {
        for i in 0..n {
            (to[i], to[n + i]) = (value[i * w + row], distance[i * w + row]);
        }
        to[2 * n] = 2.0 * variance[row];
    })?;
    let error = |e: Estimate| e.standard_error.unwrap_or(f64::NAN);
    let varies = sums.estimate(2 * n)?.mean > 0.0;
    let mut found = UnitUse { windows: w, ..UnitUse::default() };
    for (i, &unit) in units.iter().enumerate() {
        let value = sums.estimate(i)?;
        let share = match varies {
            true => sums.ratio(n + i, 2 * n)?,
            false => Estimate { mean: 0.0, standard_error: Some(0.0) },
        };
        found.value.push(value.mean);
        found.value_error.push(error(value));
        found.net.push(value.mean - kl[unit]);
        found.share.push(share.mean);
        found.share_error.push(error(share));
    }
    found.units = units;
    Ok(found)
}

/// Measures the units on the probe set.
///
/// ```
/// use vdn_model::{Forecaster, ForecasterConfig};
/// use vdn_train::{DiagnosticsConfig, RunConfig, probe};
/// let run = RunConfig::from_toml("[data]\ninput_len = 24\nhorizon = 4\nmax_validation = 16\n")?;
/// let data = run.resolved().data;
/// let data = data.dataset(data.load_table()?)?;
/// let config = ForecasterConfig { input_len: 24, horizon: 4, units: 8, ..ForecasterConfig::default() };
/// let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
/// let settings = DiagnosticsConfig { windows: 8, ..DiagnosticsConfig::default() };
/// let found = probe(&model, &parameters, &data, 0, &settings, &[0.1; 8])?.expect("there are windows");
/// // Untrained, the head is silent: nothing is read of any unit.
/// assert_eq!((found.windows, found.unit_use.value), (8, vec![0.0; 8]));
/// assert!(!found.layer.is_used());
/// assert!(found.information.nats.iter().all(|&nats| nats < found.information.ceiling));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// `None` for a deterministic twin, or when the configuration asks for no windows.
/// `kl` is the KL of each unit in nats per window.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn probe<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    noise: impl Into<NoiseSeed>,
    config: &DiagnosticsConfig,
    kl: &[f64],
) -> Result<Option<Probe>, TrainError> {
    if model.config().variant != Variant::Variational || config.windows == 0 {
        return Ok(None);
    }
    let noise = noise.into();
    let windows = &evenly(&data.splits().validation, config.windows);
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let layer = layer_use(model, parameters, data, windows, noise, kl.iter().sum())?;
    let mut seconds = [lap(), 0.0, 0.0];
    let found = posteriors(model, parameters, data, windows, 0)?;
    let information = mutual_information(&found.mu, &found.logvar, found.dims);
    let spec = data.spec();
    let apart = persistence(model, parameters, data, windows, spec.input_len)?;
    let near = persistence(model, parameters, data, windows, spec.stride)?;
    seconds[1] = lap();
    let unit_use = unit_use(model, parameters, data, windows, noise, config, kl)?;
    seconds[2] = lap();
    Ok(Some(Probe {
        windows: windows.len(),
        layer,
        information,
        rho: apart.map(|pairs| pairs.rho()),
        rate_given_past: near.map(|pairs| pairs.rate_given_past()),
        unit_use,
        seconds,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_units_are_evenly_spaced() {
        let all: Vec<WindowIndex> = (0..10).map(|t| WindowIndex { series: 0, t }).collect();
        let some: Vec<u32> = evenly(&all, 3).iter().map(|w| w.t).collect();
        assert_eq!(some, [1, 5, 8]);
        assert_eq!(evenly(&all, 100).len(), 10);
        assert_eq!(probed_units(10, 0).len(), 10);
        assert_eq!(probed_units(10, 3), [1, 5, 8]);
        assert_eq!(probed_units(2, 3), [0, 1]);
    }

    #[test]
    fn a_likelihood_is_the_mean_over_samples_of_sums_over_steps() {
        let prediction = Prediction {
            shape: [2, 1, 2],
            means: vec![0.0, 1.0, 2.0, 1.0],
            sigma: vec![1.0, 0.5],
            weights: None,
            aggregation: vdn_model::Aggregation::Mean,
        };
        let found = log_likelihoods(&prediction, &[0.0, 1.0]);
        let expected = -std::f64::consts::TAU.ln() - 0.5_f64.ln() - 0.5 * (0.0 + 4.0) / 2.0;
        assert!((found[0] - expected).abs() < 1e-12, "{found:?} {expected}");
    }
}
