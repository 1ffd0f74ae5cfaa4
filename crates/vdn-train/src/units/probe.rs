//! [`Probe`]: the measurements of the units on a small fixed set of examples, because they need
//! passes of their own.
//!
//! | measure | cost, N = 1024, L 336, H 96, 128 windows, two cores |
//! |---|---|
//! | use of all units: `LL(z ~ q) - LL(z ~ p)`, CRPS with z permuted | four evaluation passes, and as many for each layer of several |
//! | mutual information, persistence | three passes of the encoder and 36 exponentials per window and unit |
//! | use of every unit of the last layer, 4 samples | 2 N windows samples activations of the head's hidden layer and its output maps |
//! | use of units below the last layer | for each two passes of the layers above and the head; a share of the units by default |
//!
//! The probe set is evenly spaced over the validation windows. It is the same in every epoch, and
//! so is all noise. Standard errors come from blocks of windows whose targets overlap.
//!
//! For a unit above the first layer, the information is about the samples that the unit sees; the
//! window is a part of them. Mutual information uses quadrature and is available only for normal
//! and log-normal units.

use crate::config::DiagnosticsConfig;
use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::evaluate::{EVALUATION_BATCH, Evaluator};
use crate::metrics::Estimate;
use crate::units::diagnose::unit_costs;
use crate::units::interventions::Interventions;
use crate::units::layer_use::{LayerUse, estimates};
use std::time::Instant;
use vdn_model::core::streams::PROBE_STEP;
use vdn_model::diagnostics::{
    Diagnostics, MutualInformation, Persistence, Posteriors, UnitUse, mutual_information,
};
use vdn_tensor::Element;

/// The result of a probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The number of windows in the probe set.
    pub windows: usize,
    /// The value of all units of all layers together.
    pub together: LayerUse,
    /// The layers with distributional units, from the encoder up.
    pub layers: Vec<LayerProbe>,
}

/// The result of a probe of the units of a layer.
#[derive(Clone, Debug)]
pub struct LayerProbe {
    /// The number of the layer, from 0.
    pub layer: usize,
    /// The number of windows in the probe set.
    pub windows: usize,
    /// The value of the layer's units together, with the other layers unchanged.
    pub worth: LayerUse,
    /// The information of each latent dimension about its input: the window, or above the first
    /// layer the samples of the layer below. `None` for units that are not normal or log-normal.
    pub information: Option<MutualInformation>,
    /// The autocorrelation `rho` of each latent dimension between windows that share no row; `None`
    /// if the series are too short.
    pub rho: Option<Vec<f64>>,
    /// The autocorrelation between successive windows, `stride` rows apart, which share most of
    /// their rows. A persistence target controls this value.
    pub rho_stride: Option<Vec<f64>>,
    /// The remaining rate of each latent dimension when its mean `stride` rows earlier is known.
    pub rate_given_past: Option<Vec<f64>>,
    /// The use of each single unit that had interventions.
    pub unit_use: UnitUse,
    /// Wall-clock seconds for the layer, for information and persistence, and for the units.
    pub seconds: [f64; 3],
}

/// At most `count` of `examples`, evenly spaced: the `floor((2i + 1) n / 2m)`-th of `n`.
fn evenly<I: Copy>(examples: &[I], count: usize) -> Vec<I> {
    let (n, m) = (examples.len(), count.min(examples.len()));
    (0..m).map(|i| examples[(2 * i + 1) * n / (2 * m)]).collect()
}

/// The units that get interventions: all of them, or `wanted` evenly spaced ones.
fn probed_units(units: usize, wanted: usize) -> Vec<usize> {
    match wanted {
        0 => (0..units).collect(),
        _ => {
            let m = wanted.min(units);
            (0..m).map(|i| (2 * i + 1) * units / (2 * m)).collect()
        }
    }
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// The posteriors of a layer's units for examples, each shifted `lag` rows earlier.
    fn posteriors(
        &self,
        examples: &[D::Index],
        layer: usize,
        lag: usize,
    ) -> Result<Posteriors, TrainError> {
        let mut all = Posteriors::default();
        let request = Request { lag, ..Request::INPUTS };
        self.for_each_batch(examples, EVALUATION_BATCH, request, |place, batch, _| {
            // The layers below draw new noise for every lag. Noise that two passes share would look
            // like persistence.
            let fold = (lag as u64 + 1) << 32 | place.batch as u64;
            let key = self.noise.key(0, PROBE_STEP).fold_in(fold);
            let found = self.network.posteriors(self.parameters, batch, key, layer)?;
            all.dims = found.dims;
            all.mu.extend(found.mu);
            all.logvar.extend(found.logvar);
            Ok(())
        })?;
        Ok(all)
    }

    /// The moments of the units for pairs of examples `lag` rows apart; `None` if fewer than two
    /// examples have an example that much earlier.
    fn persistence(
        &self,
        examples: &[D::Index],
        layer: usize,
        lag: usize,
    ) -> Result<Option<Persistence>, TrainError> {
        let has = |example: &D::Index| self.data.has_earlier(*example, lag);
        let late: Vec<D::Index> = examples.iter().copied().filter(has).collect();
        if late.len() < 2 {
            return Ok(None);
        }
        let now = self.posteriors(&late, layer, 0)?;
        let before = self.posteriors(&late, layer, lag)?;
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

    /// The use of each unit of a layer. `kl` is the KL of each unit in nats per example, `[units]`.
    fn unit_use(
        &self,
        examples: &[D::Index],
        layer: usize,
        config: &DiagnosticsConfig,
        kl: &[f64],
    ) -> Result<UnitUse, TrainError> {
        let top = layer + 1 == self.network.layers().len();
        let units = match (top, config.units_below) {
            (true, _) => probed_units(kl.len(), config.units),
            (false, 0) => Vec::new(),
            (false, wanted) => probed_units(kl.len(), wanted),
        };
        let (n, w) = (units.len(), examples.len());
        let (mut value, mut distance) = (vec![0.0; n * w], vec![0.0; n * w]);
        let mut variance = Vec::with_capacity(w);
        let request = Request::TARGETS;
        self.for_each_batch(examples, EVALUATION_BATCH, request, |place, batch, chunk| {
            let key = self.noise.key(0, PROBE_STEP).fold_in(place.batch as u64);
            let probed = (layer, &units[..]);
            let (network, parameters) = (self.network, self.parameters);
            let found = network.unit_effects(parameters, batch, key, config.samples, probed)?;
            for (all, part) in [(&mut value, &found.value), (&mut distance, &found.distance)] {
                for (all, part) in all.chunks_mut(w).zip(part.chunks(chunk.len())) {
                    all[place.start..place.start + chunk.len()].copy_from_slice(part);
                }
            }
            variance.extend(found.variance);
            Ok(())
        })?;
        // Columns: values, distances, and twice the variance, to which the distances are relative.
        let sums = estimates(self.data, examples, 2 * n + 1, |row, to| {
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

    /// Measures the units on a probe set, evenly spaced over `examples`. `layers` are the
    /// diagnostics of the network's layers, which give the cost of their units.
    ///
    /// Returns `None` if the network has no distributional units or if the configuration sets the
    /// number of windows to 0.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a prediction is not finite.
    pub fn probe(
        &self,
        examples: &[D::Index],
        config: &DiagnosticsConfig,
        layers: &[Diagnostics],
    ) -> Result<Option<Probe>, TrainError> {
        if layers.is_empty() || config.windows == 0 {
            return Ok(None);
        }
        let examples = &evenly(examples, config.windows);
        let kl: Vec<Vec<f64>> = layers.iter().map(unit_costs).collect();
        let total = kl.iter().flatten().sum();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
        let together = self.layer_use(examples, None, total)?;
        let mut found = Vec::with_capacity(layers.len());
        for (layer, kl) in self.network.distributional_layers().into_iter().zip(&kl) {
            let worth = match self.network.layers().len() {
                // In a network of one layer, all units belong to it.
                1 => together,
                _ => self.layer_use(examples, Some(layer), kl.iter().sum())?,
            };
            let mut seconds = [lap(), 0.0, 0.0];
            let information = match self.network.layers()[layer].is_gaussian() {
                true => {
                    let all = self.posteriors(examples, layer, 0)?;
                    Some(mutual_information(&all.mu, &all.logvar, all.dims))
                }
                false => None,
            };
            let (mut apart, mut near) = (None, None);
            if let Some(lags) = self.data.lags() {
                apart = self.persistence(examples, layer, lags.apart)?;
                near = self.persistence(examples, layer, lags.near)?;
            }
            seconds[1] = lap();
            let unit_use = self.unit_use(examples, layer, config, kl)?;
            seconds[2] = lap();
            found.push(LayerProbe {
                layer,
                windows: examples.len(),
                worth,
                information,
                rho: apart.map(|pairs| pairs.rho()),
                rho_stride: near.as_ref().map(|pairs| pairs.rho()),
                rate_given_past: near.map(|pairs| pairs.rate_given_past()),
                unit_use,
                seconds,
            });
        }
        Ok(Some(Probe { windows: examples.len(), together, layers: found }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_units_are_evenly_spaced() {
        let all: Vec<u32> = (0..10).collect();
        let some = evenly(&all, 3);
        assert_eq!(some, [1, 5, 8]);
        assert_eq!(evenly(&all, 100).len(), 10);
        assert_eq!(probed_units(10, 0).len(), 10);
        assert_eq!(probed_units(10, 3), [1, 5, 8]);
        assert_eq!(probed_units(2, 3), [0, 1]);
    }
}
