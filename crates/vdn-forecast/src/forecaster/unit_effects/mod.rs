//! Interventions on single units: the effect of each unit on the forecast and its likelihood.

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
    /// Measures the effect of each of `units` of layer `layer` (from 0) on the forecast of a batch
    /// with targets.
    ///
    /// The activities of one unit at a time are replaced, with `samples` samples of the latent for
    /// each window, and the change of the forecast is measured. All passes use the same noise for
    /// everything else. Layers above the replaced unit form their posteriors on the replaced
    /// activities.
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
    /// With a joint head, effects have a closed form and no sample is drawn. The value compares the
    /// window's joint density with that of the same forecast without the unit's mean, and with the
    /// unit's noise as independent noise of single steps. With `N` units and `H` steps, each unit
    /// and window costs `N H min(N, H)` multiplications: cheap for a few dozen units, expensive for
    /// hundreds.
    ///
    /// For other heads, the cost of a unit depends on its layer:
    ///
    /// - Last layer: for each window, sample and kind of replacement (two), the head's activation
    ///   and output maps, but not its maps over all channels; see `replacement.rs`.
    /// - Layers below: two full passes of the layers above it and of the head.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model or has no targets, for a layer without
    /// distributional units, for fewer than two samples, and for a unit that does not exist.
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

    /// Returns the unchanged pass, and the two alternative latents of the layer that serve as
    /// replacements.
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

/// The measure of a replacement's effect.
#[derive(Clone, Copy)]
enum Kind {
    Value,
    Distance,
}

/// A pass with all samples unchanged, and replacements for one layer.
struct Base<T> {
    horizon: usize,
    /// The number of samples, windows and channels of the layer.
    shape: [usize; 3],
    /// The activities of the layer, `[samples, batch, channels]`.
    z: Vec<T>,
    /// The inputs of the head's activation, `[samples, batch, hidden]`.
    hidden: Vec<T>,
    /// The predictions, `[samples, batch, horizon]`.
    y: Vec<f64>,
    /// The output deviations, `[batch, horizon]`.
    sigma: Vec<f64>,
    /// The factors on the head's outputs, `[batch]`.
    scale: Vec<f64>,
    /// The targets, `[batch, horizon]`.
    target: Vec<f64>,
    /// Activities of the shape of `z`, with latents from the prior.
    from_prior: Vec<T>,
    /// Activities of the shape of `z`, with latents redrawn from the posteriors.
    redrawn: Vec<T>,
}

impl<T: Element> Base<T> {
    /// Returns the effect of a change of the head's outputs. With the change `d` of the forecast
    /// and the residual `r` of the base, the value is
    /// `ln p - ln p' = sum_h (d^2/2 - r d) / sigma^2`, a form without cancellation. The distance is
    /// `sum_h d^2`.
    fn effect(&self, kind: Kind, at: usize, row: usize, change: impl Fn(usize) -> f64) -> f64 {
        let horizon = self.horizon;
        let (y, sigma) = (&self.y[at * horizon..][..horizon], &self.sigma[row * horizon..]);
        let (target, scale) = (&self.target[row * horizon..], self.scale[row]);
        let mut sum = 0.0;
        for h in 0..horizon {
            let d = scale * change(h);
            sum += match kind {
                Kind::Distance => d * d,
                // A missing target contributes nothing.
                Kind::Value if target[h].is_nan() => 0.0,
                Kind::Value => d * (0.5 * d - (target[h] - y[h])) / (sigma[h] * sigma[h]),
            };
        }
        sum
    }
}

/// The unbiased variance over samples of `y` `[samples, batch, horizon]`, summed over the horizon,
/// `[batch]`.
fn sample_variance(y: &[f64], samples: usize, rows: usize, horizon: usize) -> Vec<f64> {
    let n = samples as f64;
    let step = |row: usize, h: usize| {
        let of = |s: usize| y[(s * rows + row) * horizon + h];
        let mean = (0..samples).map(of).sum::<f64>() / n;
        (0..samples).map(|s| (of(s) - mean).powi(2)).sum::<f64>() / (n - 1.0)
    };
    (0..rows).map(|row| (0..horizon).map(|h| step(row, h)).sum()).collect()
}
