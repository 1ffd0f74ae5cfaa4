//! Interventions on single units: what the forecast, and its likelihood, owe to each of them.

use super::{Batch, Forecaster, Head, Intervention, Pass, stream};
use crate::error::ModelError;
use crate::graph::{Bindings, Graph, Mode};
use crate::parameter::Parameters;
use crate::replacement::{Replacement, ReplacementTape};
use vdn_autograd::{Error, Noise, Tape};
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, parallel};

/// Rows of hidden activities in one pass: bounds memory, changes no result.
const ROWS: usize = 16 * 1024;

/// The units' posteriors for the windows of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posteriors {
    /// Latent dimensions of the layer.
    pub dims: usize,
    /// Means, `[batch, dims]`.
    pub mu: Vec<f64>,
    /// Log-variances within their hard limits, `[batch, dims]`.
    pub logvar: Vec<f64>,
}

/// What changes when the activities of one unit are replaced, all others kept, by addressed noise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitEffects {
    /// `mean_s [ln p(y | z_s) - ln p(y | z_s with z_i drawn from its prior)]`, `[units, batch]`, nats per window.
    pub value: Vec<f64>,
    /// `mean_s |m(z_s) - m(z_s with z_i redrawn from its posterior)|^2`, summed over the horizon, `[units, batch]`.
    pub distance: Vec<f64>,
    /// The variance over samples of the forecast, summed over the horizon, `[batch]` (unbiased).
    pub variance: Vec<f64>,
}

impl Forecaster {
    /// The posteriors of the units for a batch; its targets are not needed.
    ///
    /// # Errors
    /// A batch that does not fit the model; a model other than one layer of distributional units.
    pub fn posteriors<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
    ) -> Result<Posteriors, ModelError> {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.no_grad(|tape| {
            let key = NoiseKey::new(0, 0, 0);
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            let sole = self.sole_layer().ok_or_else(no_posteriors)?;
            let noise = Noise::Addressed(key.with_stream(sole.stream()));
            let pass = self.forward(&mut graph, batch, Intervention::None, Some((1, noise)))?;
            let layer = pass.layers[0].ok_or_else(no_posteriors)?;
            let double = |var| graph.tape.value(var).data().iter().map(|x: &T| x.to_f64());
            let mu: Vec<f64> = double(layer.mu).collect();
            let dims = self.config.units * self.config.latent_dims;
            let limited: Vec<f64> =
                double(layer.logvar).map(|l| l.clamp(LOGVAR_MIN, LOGVAR_MAX)).collect();
            let logvar = limited.iter().copied().cycle().take(mu.len()).collect();
            Ok(Posteriors { dims, mu, logvar })
        })
    }

    /// Replaces, one after the other, the activities of each of `units`, with `samples` samples of the latent for each
    /// window of a batch with targets, and measures what changes. The noise of everything else is the same in all passes.
    ///
    /// ```
    /// use vdn_model::{Batch, Forecaster, ForecasterConfig};
    /// use vdn_tensor::noise::NoiseKey;
    /// let config = ForecasterConfig { input_len: 24, horizon: 4, units: 8, ..ForecasterConfig::default() };
    /// let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
    /// let (windows, target) = (vec![0.5_f32; 2 * 24], vec![0.0_f32; 2 * 4]);
    /// let batch = Batch { current: &windows, previous: &windows, target: &target };
    /// assert_eq!(model.posteriors(&parameters, &batch)?.mu.len(), 2 * 8);
    /// let found = model.unit_effects(&parameters, &batch, NoiseKey::new(0, 0, 0), 4, &[0, 5])?;
    /// // Two units, two windows; an untrained head is silent.
    /// assert_eq!(found.value, [0.0; 4]);
    /// # Ok::<(), vdn_model::ModelError>(())
    /// ```
    ///
    /// Cost: for each unit, window, sample and kind of replacement (two) the head's activation and output maps, not its
    /// maps over all channels; see `replacement.rs`.
    ///
    /// # Errors
    /// A batch that does not fit the model, or without targets; a model other than one layer of distributional units; fewer than two samples; a unit
    /// that does not exist.
    pub fn unit_effects<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        samples: usize,
        units: &[usize],
    ) -> Result<UnitEffects, ModelError> {
        let Head::Gated(head) = &self.head else { return Err(no_posteriors()) };
        if batch.target.is_empty() || samples < 2 {
            let reason = "effects of units need targets, and at least two samples";
            return Err(ModelError::Batch(reason.into()));
        }
        if let Some(unit) = units.iter().find(|&&unit| unit >= self.config.units) {
            let reason = format!("there is no unit {unit}, only {}", self.config.units);
            return Err(ModelError::Batch(reason));
        }
        let rows = self.rows(batch)?;
        let base = self.base_pass(parameters, batch, key, samples)?;
        let weights = head.replacement_weights(parameters);
        let replacement = Replacement::new(&weights, &base.z, &base.hidden);
        let horizon = self.config.horizon;
        let width = base.z.len() / (samples * rows * self.config.units);
        let mut effects = UnitEffects {
            value: vec![0.0; units.len() * rows],
            distance: vec![0.0; units.len() * rows],
            variance: sample_variance(&base.y, samples, rows, horizon),
        };
        let mut room = ReplacementTape::<T>::default();
        let own = base.through_activation(self, parameters, &mut room, None)?;
        let block = (ROWS / (samples * rows)).max(1);
        for (others, to, kind) in [
            (&base.from_prior, &mut effects.value, Kind::Value),
            (&base.redrawn, &mut effects.distance, Kind::Distance),
        ] {
            for (chunk, to) in units.chunks(block).zip(to.chunks_mut(block * rows)) {
                let first: Vec<usize> = chunk.iter().map(|unit| unit * width).collect();
                let what = Some((&replacement, &first[..], width, &others[..]));
                let changed = base.through_activation(self, parameters, &mut room, what)?;
                parallel::for_each_chunk(to, 1, |place, to| {
                    let (j, row) = (place / rows, place % rows);
                    let mut direct = vec![0.0; horizon];
                    for s in 0..samples {
                        let at = s * rows + row;
                        replacement.direct_change(at, first[j], width, others, &mut direct);
                        let new = &changed[(j * samples * rows + at) * horizon..][..horizon];
                        let old = &own[at * horizon..][..horizon];
                        to[0] += base.effect(kind, at, row, &direct, old, new);
                    }
                    to[0] /= samples as f64;
                });
            }
        }
        Ok(effects)
    }

    /// The pass that replacements depart from, and the two latents that they come from.
    fn base_pass<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        samples: usize,
    ) -> Result<Base<T>, ModelError> {
        let Head::Gated(head) = &self.head else { return Err(no_posteriors()) };
        let rows = self.rows(batch)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut pass = |name: u32, intervention| -> Result<Base<T>, ModelError> {
            tape.reset();
            tape.no_grad(|tape| {
                let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
                let noise = Noise::Addressed(key.with_stream(name));
                let pass = self.forward(&mut graph, batch, intervention, Some((samples, noise)))?;
                let Pass { z, y, sigma, scale, .. } = pass;
                let hidden = head.before_activation(&mut graph, z)?;
                let values = |var| graph.tape.value(var).data();
                let double = |var| values(var).iter().map(|x: &T| x.to_f64()).collect::<Vec<_>>();
                let sigma = double(sigma);
                let per_row = if sigma.len() == self.config.horizon { rows } else { 1 };
                Ok(Base {
                    horizon: self.config.horizon,
                    z: values(z).to_vec(),
                    hidden: values(hidden).to_vec(),
                    y: double(y),
                    sigma: sigma.repeat(per_row),
                    scale: double(scale),
                    target: batch.target.iter().map(|x| x.to_f64()).collect(),
                    from_prior: Vec::new(),
                    redrawn: Vec::new(),
                })
            })
        };
        let own = self.sole_layer().ok_or_else(no_posteriors)?.stream();
        let redrawn = pass(stream::REDRAW, Intervention::None)?.z;
        let from_prior = pass(own, Intervention::Prior)?.z;
        Ok(Base { from_prior, redrawn, ..pass(own, Intervention::None)? })
    }
}

fn no_posteriors() -> ModelError {
    ModelError::Batch("the model is not one layer of distributional units".into())
}

/// What a replacement is measured by.
#[derive(Clone, Copy)]
enum Kind {
    Value,
    Distance,
}

/// What replacements go: which blocks of channels, of which width, from where.
type What<'a, T> = Option<(&'a Replacement<'a, T>, &'a [usize], usize, &'a [T])>;

/// A pass with all samples as they are.
struct Base<T> {
    horizon: usize,
    /// `[samples, batch, channels]`.
    z: Vec<T>,
    /// `[samples, batch, hidden]`.
    hidden: Vec<T>,
    /// `[samples, batch, horizon]`.
    y: Vec<f64>,
    /// `[batch, horizon]`.
    sigma: Vec<f64>,
    /// `[batch]`: what the head's outputs are multiplied by.
    scale: Vec<f64>,
    /// `[batch, horizon]`.
    target: Vec<f64>,
    /// Another latent of the same shape, from the prior.
    from_prior: Vec<T>,
    /// And one from the posteriors.
    redrawn: Vec<T>,
}

impl<T: Element> Base<T> {
    /// The part of the outputs that goes through the activation, `[blocks, samples, batch, horizon]`; of the base itself
    /// without replacements.
    fn through_activation(
        &self,
        model: &Forecaster,
        parameters: &Parameters<T>,
        room: &mut ReplacementTape<T>,
        what: What<'_, T>,
    ) -> Result<Vec<f64>, ModelError> {
        let Head::Gated(head) = &model.head else { return Err(no_posteriors()) };
        let rows = self.z.len() / model.config.layer().channels();
        let width = self.hidden.len() / rows;
        let ReplacementTape { tape, bindings } = room;
        tape.reset();
        let outputs = tape.no_grad(|tape| -> Result<Vec<f64>, Error> {
            let key = NoiseKey::new(0, 0, 0);
            let mut graph = Graph::new(tape, parameters, bindings, Mode::Evaluate, key);
            let hidden = match what {
                None => graph.tape.constant([rows, width], &self.hidden)?,
                Some((replacement, first, channels, others)) => {
                    graph.tape.constant_with([first.len() * rows, width], |to| {
                        replacement.fill_hidden(first, channels, others, to);
                    })?
                }
            };
            let outputs = head.after_activation(&mut graph, hidden)?;
            Ok(graph.tape.value(outputs).data().iter().map(|x| x.to_f64()).collect())
        })?;
        tape.release_shared();
        Ok(outputs)
    }

    /// What a change of the outputs is worth: with the change `d` and the residual `r` of the base,
    /// `ln p - ln p' = sum_h (d^2/2 - r d) / sigma^2`, without cancellation; or `sum_h d^2`.
    fn effect(
        &self,
        kind: Kind,
        at: usize,
        row: usize,
        direct: &[f64],
        old: &[f64],
        new: &[f64],
    ) -> f64 {
        let horizon = self.horizon;
        let (y, sigma) = (&self.y[at * horizon..][..horizon], &self.sigma[row * horizon..]);
        let (target, scale) = (&self.target[row * horizon..], self.scale[row]);
        let mut sum = 0.0;
        for h in 0..horizon {
            let d = scale * (direct[h] + new[h] - old[h]);
            sum += match kind {
                Kind::Distance => d * d,
                Kind::Value => d * (0.5 * d - (target[h] - y[h])) / (sigma[h] * sigma[h]),
            };
        }
        sum
    }
}

/// The unbiased variance over samples of `y` `[samples, batch, horizon]`, summed over the horizon, `[batch]`.
fn sample_variance(y: &[f64], samples: usize, rows: usize, horizon: usize) -> Vec<f64> {
    let n = samples as f64;
    let step = |row: usize, h: usize| {
        let of = |s: usize| y[(s * rows + row) * horizon + h];
        let mean = (0..samples).map(of).sum::<f64>() / n;
        (0..samples).map(|s| (of(s) - mean).powi(2)).sum::<f64>() / (n - 1.0)
    };
    (0..rows).map(|row| (0..horizon).map(|h| step(row, h)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecaster::ForecasterConfig;
    use crate::instance_norm::{Centre, InstanceNorm};

    const SAMPLES: usize = 3;
    const ROWS_OF_BATCH: usize = 4;

    fn normals(len: usize, stream: u32) -> Vec<f64> {
        let mut x = vec![0.0; len];
        NoiseKey::new(9, stream, 0).fill_normal(0, &mut x);
        x
    }

    fn model(latent_dims: usize) -> (Forecaster, Parameters<f64>) {
        let config = ForecasterConfig {
            input_len: 8,
            horizon: 3,
            hidden: 5,
            kernel: Some(3),
            units: 4,
            latent_dims,
            head_hidden: 6,
            normalization: InstanceNorm { centre: Centre::Mean, divide_by_deviation: true },
            ..ForecasterConfig::default()
        };
        let (model, mut parameters) = Forecaster::new::<f64>(config, 1).unwrap();
        for index in 0..parameters.len() {
            let noise = normals(parameters.data_mut(index).len(), 100 + index as u32);
            let data = parameters.data_mut(index);
            data.iter_mut().zip(noise).for_each(|(p, e)| *p += 0.5 * e);
        }
        (model, parameters)
    }

    /// Forecasts and output deviations of a whole pass on a given latent.
    fn whole(
        model: &Forecaster,
        parameters: &Parameters<f64>,
        batch: &Batch<'_, f64>,
        z: &[f64],
    ) -> [Vec<f64>; 2] {
        let posteriors = model.posteriors(parameters, batch).unwrap();
        let noise: Vec<f64> = z
            .iter()
            .zip(posteriors.mu.iter().zip(&posteriors.logvar).cycle())
            .map(|(z, (mu, logvar))| (z - mu) / (0.5 * logvar).exp())
            .collect();
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, key);
        let shape = [SAMPLES, ROWS_OF_BATCH, posteriors.dims];
        let noise = Noise::Given(graph.tape.constant(shape, &noise).unwrap());
        let noise = Some((SAMPLES, noise));
        let pass = model.forward(&mut graph, batch, Intervention::None, noise).unwrap();
        [pass.y, pass.sigma].map(|var| tape.value(var).data().to_vec())
    }

    #[test]
    fn replacing_one_unit_agrees_with_whole_passes() {
        for latent_dims in [1, 2] {
            let (model, parameters) = model(latent_dims);
            let (current, previous) = (normals(32, 0), normals(32, 1));
            let target = normals(12, 2);
            let batch = Batch { current: &current, previous: &previous, target: &target };
            let key = NoiseKey::new(3, 0, 7);
            let units = [2, 0, 3];
            let found = model.unit_effects(&parameters, &batch, key, SAMPLES, &units).unwrap();
            let base = model.base_pass(&parameters, &batch, key, SAMPLES).unwrap();
            let [y, sigma] = whole(&model, &parameters, &batch, &base.z);
            assert!(base.y.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12));
            let ln_p = |y: &[f64], s: usize, row: usize| -> f64 {
                let term = |h: usize| {
                    let sigma = sigma[row * 3 + h];
                    let r = (target[row * 3 + h] - y[(s * ROWS_OF_BATCH + row) * 3 + h]) / sigma;
                    -0.5 * r * r - sigma.ln()
                };
                (0..3).map(term).sum()
            };
            for (j, &unit) in units.iter().enumerate() {
                let with = |other: &[f64]| {
                    let mut z = base.z.clone();
                    let channels = 4 * latent_dims;
                    for (z, other) in z.chunks_mut(channels).zip(other.chunks(channels)) {
                        let of = unit * latent_dims..(unit + 1) * latent_dims;
                        z[of.clone()].copy_from_slice(&other[of]);
                    }
                    whole(&model, &parameters, &batch, &z)[0].clone()
                };
                let (prior, redrawn) = (with(&base.from_prior), with(&base.redrawn));
                for row in 0..ROWS_OF_BATCH {
                    let mean = |f: &dyn Fn(usize) -> f64| {
                        (0..SAMPLES).map(f).sum::<f64>() / SAMPLES as f64
                    };
                    let value = mean(&|s| ln_p(&y, s, row) - ln_p(&prior, s, row));
                    let distance = mean(&|s| {
                        let at = (s * ROWS_OF_BATCH + row) * 3;
                        (at..at + 3).map(|i| (y[i] - redrawn[i]).powi(2)).sum()
                    });
                    let at = j * ROWS_OF_BATCH + row;
                    let gap = (found.value[at] - value).abs();
                    assert!(gap < 1e-10 * (1.0 + value.abs()), "value of {unit}: {gap:e}");
                    let gap = (found.distance[at] - distance).abs();
                    assert!(gap < 1e-10 * (1.0 + distance), "distance of {unit}: {gap:e}");
                    assert!(distance > 1e-4, "nothing changed");
                }
            }
        }
    }

    #[test]
    fn the_variance_over_samples_is_unbiased() {
        // Two samples, one row, two steps: (1 - 3)^2/2 and (0 - 1)^2/2.
        assert_eq!(sample_variance(&[1.0, 0.0, 3.0, 1.0], 2, 1, 2), [2.5]);
    }

    #[test]
    fn what_has_no_effects_is_refused() {
        let (model, parameters) = model(1);
        let windows = normals(32, 0);
        let target = normals(12, 2);
        let with = Batch { current: &windows, previous: &windows, target: &target };
        let without = Batch { target: &[], ..with };
        let key = NoiseKey::new(3, 0, 7);
        let of = |batch: &Batch<'_, f64>, samples, units: &[usize]| {
            model.unit_effects(&parameters, batch, key, samples, units).map(|_| ()).unwrap_err()
        };
        assert!(of(&without, 2, &[0]).to_string().contains("targets"));
        assert!(of(&with, 1, &[0]).to_string().contains("two samples"));
        assert!(of(&with, 2, &[4]).to_string().contains("no unit 4"));
    }
}
