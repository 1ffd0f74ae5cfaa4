//! [`probe`]: what is measured of the units on a small fixed set of windows, because it costs passes of its own.
//!
//! | measure | cost, N = 1024, L 336, H 96, 128 windows, two cores |
//! |---|---|
//! | use of all units: `LL(z ~ q) - LL(z ~ p)`, CRPS with z permuted | four evaluation passes, and as many for each layer of several |
//! | mutual information, persistence | three passes of the encoder and 36 exponentials per window and unit |
//! | use of every unit of the last layer, 4 samples | 2 N windows samples activations of the head's hidden layer and its output maps |
//! | use of units below the last layer | for each two passes of the layers above and the head; a share of the units by default |
//!
//! The probe set is evenly spaced over the validation windows (or others: [`probe_on`]) and the same in every epoch, as is all noise. Standard
//! errors are those of blocks of windows whose targets overlap. The information of a unit above the first layer is about the
//! samples that it sees, of which the window is a part; by quadrature it is there for normal and log-normal units alone.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::forecaster::{Forecaster, Posteriors};
use crate::units::diagnose::unit_costs;
use crate::units::layer_use::{LayerUse, estimates, layer_use};
use std::time::Instant;
use vdn_model::Parameters;
use vdn_model::diagnostics::{
    Diagnostics, MutualInformation, Persistence, UnitUse, mutual_information,
};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;
use vdn_train::DiagnosticsConfig;
use vdn_train::EVALUATION_BATCH;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;
use vdn_train::metrics::Estimate;

/// The training step that a probe's noise is addressed by: no training step reaches it.
const STEP: u32 = u32::MAX - 2;

/// What a probe came to.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Windows of the probe set.
    pub windows: usize,
    /// All units of all layers together.
    pub together: LayerUse,
    /// Each layer with distributional units, from the encoder up.
    pub layers: Vec<LayerProbe>,
}

/// What a probe showed of the units of a layer.
#[derive(Clone, Debug)]
pub struct LayerProbe {
    /// Which layer, from 0.
    pub layer: usize,
    /// Windows of the probe set.
    pub windows: usize,
    /// Its units together, with the other layers as they are.
    pub worth: LayerUse,
    /// The information of each latent dimension about what it sees: the window, above the first layer the samples below;
    /// `None` for units that are not normal or log-normal.
    pub information: Option<MutualInformation>,
    /// The autocorrelation `rho` of each latent dimension between windows that share no row; `None` where the series are
    /// too short for that.
    pub rho: Option<Vec<f64>>,
    /// The same between successive windows, `stride` rows apart, which share most of their rows: what a persistence target holds.
    pub rho_stride: Option<Vec<f64>>,
    /// The rate of each latent dimension that is left when its mean `stride` rows earlier is known.
    pub rate_given_past: Option<Vec<f64>>,
    /// Each unit alone, of those that had interventions.
    pub unit_use: UnitUse,
    /// Wall-clock seconds: layer, information and persistence, units.
    pub seconds: [f64; 3],
}

/// Which layer is probed, and with which noise.
#[derive(Clone, Copy)]
struct ProbedLayer {
    layer: usize,
    noise: NoiseSeed,
}

impl ProbedLayer {
    fn key(self) -> NoiseKey {
        self.noise.key(0, STEP)
    }
}

/// At most `count` of `windows`, evenly spaced: the `floor((2i + 1) n / 2m)`-th of `n`.
fn evenly(windows: &[WindowIndex], count: usize) -> Vec<WindowIndex> {
    let (n, m) = (windows.len(), count.min(windows.len()));
    (0..m).map(|i| windows[(2 * i + 1) * n / (2 * m)]).collect()
}

/// The posteriors of `windows`, each `lag` rows earlier; windows are visited in batches.
fn posteriors<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    of: ProbedLayer,
    lag: usize,
) -> Result<Posteriors, TrainError> {
    let mut buffers = BatchBuffers::<T>::default();
    let mut all = Posteriors::default();
    let earlier: Vec<WindowIndex> =
        windows.iter().map(|w| WindowIndex { t: w.t - lag as u32, ..*w }).collect();
    for (index, chunk) in earlier.chunks(EVALUATION_BATCH).enumerate() {
        let batch = buffers.fill(data, chunk, false)?;
        // Layers below draw anew for every lag: noise that two passes share would pass for persistence.
        let key = of.key().fold_in((lag as u64 + 1) << 32 | index as u64);
        let found = model.posteriors(parameters, &batch, key, of.layer)?;
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
    of: ProbedLayer,
    lag: usize,
) -> Result<Option<Persistence>, TrainError> {
    let first = data.spec().first_start() + lag;
    let late: Vec<WindowIndex> =
        windows.iter().copied().filter(|w| w.t as usize >= first).collect();
    if late.len() < 2 {
        return Ok(None);
    }
    let now = posteriors(model, parameters, data, &late, of, 0)?;
    let before = posteriors(model, parameters, data, &late, of, lag)?;
    let mut pairs = Persistence::new(now.dims);
    for row in 0..late.len() {
        let at = row * now.dims..(row + 1) * now.dims;
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

/// The use of each unit of a layer; `kl` is the KL of each in nats per window, `[units]`.
fn unit_use<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    of: ProbedLayer,
    config: &DiagnosticsConfig,
    kl: &[f64],
) -> Result<UnitUse, TrainError> {
    let units = match (of.layer + 1 == model.config().depth, config.units_below) {
        (true, _) => probed_units(kl.len(), config.units),
        (false, 0) => Vec::new(),
        (false, wanted) => probed_units(kl.len(), wanted),
    };
    let (n, w) = (units.len(), windows.len());
    let mut buffers = BatchBuffers::<T>::default();
    let (mut value, mut distance) = (vec![0.0; n * w], vec![0.0; n * w]);
    let mut variance = Vec::with_capacity(w);
    let mut start = 0;
    for (index, chunk) in windows.chunks(EVALUATION_BATCH).enumerate() {
        let key = of.key().fold_in(index as u64);
        let batch = buffers.fill(data, chunk, true)?;
        let probed = (of.layer, &units[..]);
        let found = model.unit_effects(parameters, &batch, key, config.samples, probed)?;
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
/// use vdn_model::controllers::StackControl;
/// use vdn_forecast::{Forecaster, ForecasterConfig};
/// use vdn_forecast::{RunConfig, diagnose, probe, validate};
/// use vdn_train::{BatchAverages, DiagnosticsConfig};
/// let run = RunConfig::from_toml("[data]\ninput_len = 24\nhorizon = 4\nmax_validation = 16\n")?;
/// let data = run.data;
/// let data = data.dataset(data.load_table()?)?;
/// let config = ForecasterConfig { input_len: 24, horizon: 4, units: 8, ..ForecasterConfig::default() };
/// let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
/// let settings = DiagnosticsConfig { windows: 8, ..DiagnosticsConfig::default() };
/// let found = {
///     let (windows, averages) = (&data.splits().validation, BatchAverages::default());
///     let seen = validate(&model, &parameters, &data, windows, 0, averages)?;
///     let layers = diagnose(&model, &seen, &StackControl::default())?;
///     probe(&model, &parameters, &data, 0, &settings, &layers)?.expect("there are windows")
/// };
/// let layer = &found.layers[0];
/// // Untrained, the head is silent: nothing is read of any unit.
/// assert_eq!((found.windows, &layer.unit_use.value), (8, &vec![0.0; 8]));
/// assert!(!found.together.is_used());
/// let information = layer.information.as_ref().expect("normal units");
/// assert!(information.nats.iter().all(|&nats| nats < information.ceiling));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// `None` for a model without distributional units, or when the configuration asks for no windows. `layers` are the
/// diagnostics of its layers: what their units cost.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn probe<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    noise: impl Into<NoiseSeed>,
    config: &DiagnosticsConfig,
    layers: &[Diagnostics],
) -> Result<Option<Probe>, TrainError> {
    probe_on(model, parameters, data, &data.splits().validation, noise, config, layers)
}

/// [`probe`], with a probe set that is evenly spaced over these windows.
///
/// # Errors
/// Those of [`probe`].
pub fn probe_on<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    config: &DiagnosticsConfig,
    layers: &[Diagnostics],
) -> Result<Option<Probe>, TrainError> {
    if layers.is_empty() || config.windows == 0 {
        return Ok(None);
    }
    let noise = noise.into();
    let windows = &evenly(windows, config.windows);
    let kl: Vec<Vec<f64>> = layers.iter().map(unit_costs).collect();
    let total = kl.iter().flatten().sum();
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let together = layer_use(model, parameters, data, windows, noise, None, total)?;
    let spec = data.spec();
    let mut found = Vec::with_capacity(layers.len());
    for (layer, kl) in model.distributional_layers().into_iter().zip(&kl) {
        let worth = match model.config().depth {
            // All units are those of the layer.
            1 => together,
            _ => {
                let own = Some(layer);
                layer_use(model, parameters, data, windows, noise, own, kl.iter().sum())?
            }
        };
        let mut seconds = [lap(), 0.0, 0.0];
        let of = ProbedLayer { layer, noise };
        let information = match model.config().family.get(layer).is_gaussian() {
            true => {
                let all = posteriors(model, parameters, data, windows, of, 0)?;
                Some(mutual_information(&all.mu, &all.logvar, all.dims))
            }
            false => None,
        };
        let apart = persistence(model, parameters, data, windows, of, spec.input_len)?;
        let near = persistence(model, parameters, data, windows, of, spec.stride)?;
        seconds[1] = lap();
        let unit_use = unit_use(model, parameters, data, windows, of, config, kl)?;
        seconds[2] = lap();
        found.push(LayerProbe {
            layer,
            windows: windows.len(),
            worth,
            information,
            rho: apart.map(|pairs| pairs.rho()),
            rho_stride: near.as_ref().map(|pairs| pairs.rho()),
            rate_given_past: near.map(|pairs| pairs.rate_given_past()),
            unit_use,
            seconds,
        });
    }
    Ok(Some(Probe { windows: windows.len(), together, layers: found }))
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
}
