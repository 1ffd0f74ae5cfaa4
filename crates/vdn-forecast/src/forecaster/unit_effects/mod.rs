//! Interventions on single units: what the forecast, and its likelihood, owe to each of them.

mod in_head;
mod in_joint_head;
mod through_layers;

#[cfg(test)]
mod tests;

use crate::forecaster::{Batch, Forecaster, Head, Pass};
use through_layers::Above;
use vdn_autograd::{Noise, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::UnitEffects;
use vdn_model::units::{Intervention, StackPass};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

impl Forecaster {
    /// Replaces, one after the other, the activities of each of `units` of layer number `layer`, from 0, with `samples`
    /// samples of the latent for each window of a batch with targets, and measures what changes. The noise of everything
    /// else is the same in all passes; layers above the replaced unit form their posteriors on what takes its place.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
    /// use vdn_tensor::noise::NoiseKey;
    /// let config = ForecasterConfig { input_len: 24, horizon: 4, units: 8, ..ForecasterConfig::default() };
    /// let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
    /// let (windows, target) = (vec![0.5_f32; 2 * 24], vec![0.0_f32; 2 * 4]);
    /// let batch = Batch { current: &windows, previous: &windows, target: &target, ..Batch::default() };
    /// let key = NoiseKey::new(0, 0, 0);
    /// assert_eq!(model.posteriors(&parameters, &batch, key, 0)?.mu.len(), 2 * 8);
    /// let found = model.unit_effects(&parameters, &batch, key, 4, (0, &[0, 5]))?;
    /// // Two units, two windows.
    /// assert_eq!(found.value.len(), 4);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// Under a joint head effects have a closed form, and no sample is drawn: the value is that of
    /// the window's joint density against the same forecast without the unit's mean, and with its
    /// noise as noise of single steps. With `N` units and `H` steps each unit and window costs `N H
    /// min(N, H)` multiplications: little for a few dozen units, much for hundreds.
    ///
    /// Cost of a unit of the last layer: for each window, sample and kind of replacement (two) the head's activation and
    /// output maps, not its maps over all channels; see `replacement.rs`. Of a unit below: two whole passes of the layers
    /// above it and the head.
    ///
    /// # Errors
    /// A batch that does not fit the model, or without targets; a layer without distributional units; fewer than two
    /// samples; a unit that does not exist.
    pub fn unit_effects<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        samples: usize,
        (layer, units): (usize, &[usize]),
    ) -> Result<UnitEffects, ModelError> {
        let count = self.units_of(layer)?.config().units;
        if batch.target.is_empty() || samples < 2 {
            let reason = "effects of units need targets, and at least two samples";
            return Err(ModelError::Batch(reason.into()));
        }
        if let Some(unit) = units.iter().find(|&&unit| unit >= count) {
            let reason = format!("there is no unit {unit}, only {count}");
            return Err(ModelError::Batch(reason));
        }
        let head = match &self.head {
            Head::Gated(head) => head,
            Head::Joint(head) => {
                return in_joint_head::measure(self, head, parameters, batch, units);
            }
            Head::Linear(_) => return Err(no_effects()),
        };
        let base = self.base_pass(parameters, batch, key, samples, layer)?;
        let [_, rows, _] = base.shape;
        let width = self.stack.layers()[layer].config().channels_per_unit();
        let mut effects = UnitEffects {
            value: vec![0.0; units.len() * rows],
            distance: vec![0.0; units.len() * rows],
            variance: sample_variance(&base.y, samples, rows, self.config.horizon),
        };
        if layer + 1 == self.stack.layers().len() {
            let to = &mut effects;
            in_head::measure(self, head, parameters, &base, (units, width), to)?;
        } else {
            let above = Above { model: self, head, parameters, layer, key };
            above.measure(&base, (units, width), &mut effects)?;
        }
        Ok(effects)
    }

    /// The pass that replacements depart from, and the two latents of the layer that they come from.
    fn base_pass<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        samples: usize,
        layer: usize,
    ) -> Result<Base<T>, ModelError> {
        let Head::Gated(head) = &self.head else { return Err(no_effects()) };
        let rows = self.rows(batch)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut pass = |noise, intervention| -> Result<Base<T>, ModelError> {
            tape.reset();
            tape.no_grad(|tape| {
                let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
                let how = StackPass { samples: Some(samples), noise, ..StackPass::default() };
                let pass = self.forward(&mut graph, batch, intervention, how)?;
                let Pass { z, y, sigma, scale, activities, .. } = pass;
                let own = activities[layer].ok_or_else(no_effects)?;
                let hidden = head.before_activation(&mut graph, z)?;
                let values = |var| graph.tape.value(var).data();
                let double = |var| values(var).iter().map(|x: &T| x.to_f64()).collect::<Vec<_>>();
                let sigma = double(sigma);
                let per_row = if sigma.len() == self.config.horizon { rows } else { 1 };
                let z = values(own).to_vec();
                Ok(Base {
                    horizon: self.config.horizon,
                    shape: [samples, rows, z.len() / (samples * rows)],
                    z,
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
        let stream = self.stack.redraw_stream().number();
        let other = Noise::Addressed(key.with_stream(stream));
        let redrawn = pass(Some((layer, other)), Intervention::None)?.z;
        let from_prior = pass(None, Intervention::LayerPrior(layer))?.z;
        Ok(Base { from_prior, redrawn, ..pass(None, Intervention::None)? })
    }
}

fn no_effects() -> ModelError {
    let reason = "effects of units are those of a gated or joint head on distributional units";
    ModelError::Batch(reason.into())
}

/// What a replacement is measured by.
#[derive(Clone, Copy)]
enum Kind {
    Value,
    Distance,
}

/// A pass with all samples as they are.
struct Base<T> {
    horizon: usize,
    /// Samples, windows, channels of the layer.
    shape: [usize; 3],
    /// The activities of the layer, `[samples, batch, channels]`.
    z: Vec<T>,
    /// What the head's activation sees, `[samples, batch, hidden]`.
    hidden: Vec<T>,
    /// `[samples, batch, horizon]`.
    y: Vec<f64>,
    /// `[batch, horizon]`.
    sigma: Vec<f64>,
    /// `[batch]`: what the head's outputs are multiplied by.
    scale: Vec<f64>,
    /// `[batch, horizon]`.
    target: Vec<f64>,
    /// Other activities of the same shape, with latents from the prior.
    from_prior: Vec<T>,
    /// And some from the posteriors.
    redrawn: Vec<T>,
}

impl<T: Element> Base<T> {
    /// What a change of the head's outputs is worth: with the change `d` of the forecast and the residual `r` of the base,
    /// `ln p - ln p' = sum_h (d^2/2 - r d) / sigma^2`, without cancellation; or `sum_h d^2`.
    fn effect(&self, kind: Kind, at: usize, row: usize, change: impl Fn(usize) -> f64) -> f64 {
        let horizon = self.horizon;
        let (y, sigma) = (&self.y[at * horizon..][..horizon], &self.sigma[row * horizon..]);
        let (target, scale) = (&self.target[row * horizon..], self.scale[row]);
        let mut sum = 0.0;
        for h in 0..horizon {
            let d = scale * change(h);
            sum += match kind {
                Kind::Distance => d * d,
                // Nothing is known of a missing target.
                Kind::Value if target[h].is_nan() => 0.0,
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
