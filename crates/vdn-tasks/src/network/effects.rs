//! [`TaskNetwork`] under interventions on its units, which measure their downstream value.

use crate::network::observation::draws;
use crate::network::prediction::softmax;
use crate::network::{Likelihood, Prediction, TaskNetwork};
use vdn_autograd::{Noise, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::{Posteriors, UnitEffects};
use vdn_model::units::{Intervention, StackPass};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Request, RowBatch};
use vdn_train::metrics::{Mixture, SortedSample, mixture_crps};
use vdn_train::train::Network;
use vdn_train::units::{Interventions, Outcome};

/// `ln mean_s e^l`.
pub(crate) fn log_mean_exp(l: &[f64]) -> f64 {
    let largest = l.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + (l.iter().map(|l| (l - largest).exp()).sum::<f64>() / l.len() as f64).ln()
}

impl TaskNetwork {
    /// `ln p(y | z_s)` of target `column` of a row, for each sample.
    pub(crate) fn sample_ln_densities(
        &self,
        prediction: &Prediction,
        [row, column]: [usize; 2],
        y: f64,
    ) -> Vec<f64> {
        let of = |s: usize| match self.observation(prediction, [s, row, column]) {
            Some(observation) => observation.ln_density(y),
            None => {
                let logits = prediction.outputs(s, row);
                let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|x| (x - largest).exp()).sum();
                logits[y as usize] - largest - sum.ln()
            }
        };
        (0..prediction.shape[0]).map(of).collect()
    }

    /// The outcome of a row: sums over its targets, except the CRPS, which is their mean. For
    /// classes the CRPS is the Brier score, which for two classes is the CRPS up to a factor 2.
    pub(crate) fn outcome(
        &self,
        prediction: &Prediction,
        row: usize,
        targets: &[f64],
    ) -> Result<Outcome, TrainError> {
        let (mut likelihood, mut score, mut crps) = (0.0, 0.0, 0.0);
        for (column, &y) in targets.iter().enumerate() {
            let l = self.sample_ln_densities(prediction, [row, column], y);
            likelihood += l.iter().sum::<f64>() / l.len() as f64;
            score += log_mean_exp(&l);
            crps += match self.config.likelihood {
                Likelihood::Categorical => brier(&mean_probabilities(prediction, row), y as usize),
                Likelihood::Gaussian => {
                    let of = |s| self.observation(prediction, [s, row, column]);
                    let all: Vec<_> = (0..prediction.shape[0]).filter_map(of).collect();
                    let means: Vec<f64> = all.iter().map(|own| own.mean()).collect();
                    let sigma: Vec<f64> = all.iter().map(|own| own.variance().sqrt()).collect();
                    mixture_crps(&Mixture::new(&means, &sigma, None)?, y)
                }
                // This uses draws, because the score of a normal with the same moments is improper:
                // it prefers rates of counts that are too small.
                _ => {
                    let of = |s| self.observation(prediction, [s, row, column]);
                    let all: Vec<_> = (0..prediction.shape[0]).filter_map(of).collect();
                    let place = (row * targets.len() + column) as u64;
                    SortedSample::new(draws(&all, 0.into(), place))?.fair_crps(y)?
                }
            };
        }
        let crps = crps / targets.len() as f64;
        Ok(Outcome { likelihood, score, crps, noise: None })
    }

    /// The outputs in the form in which the effects of replaced units are compared.
    fn compared(&self, outputs: &[f64]) -> Vec<f64> {
        match self.config.likelihood {
            Likelihood::Categorical => softmax(outputs),
            own if own.is_of_counts() => outputs.iter().map(|x| x.exp()).collect(),
            _ => outputs.to_vec(),
        }
    }
}

/// The mean over samples of the class probabilities of a row.
pub(crate) fn mean_probabilities(prediction: &Prediction, row: usize) -> Vec<f64> {
    let all = prediction.probabilities(row);
    let mut mean = vec![0.0; prediction.shape[2]];
    for own in &all {
        mean.iter_mut().zip(own).for_each(|(mean, p)| *mean += p / all.len() as f64);
    }
    mean
}

/// `sum_c (p_c - 1{c = class})^2`, in [0, 2].
pub(crate) fn brier(p: &[f64], class: usize) -> f64 {
    let hit = |c| if c == class { 1.0 } else { 0.0 };
    p.iter().enumerate().map(|(c, p)| (p - hit(c)).powi(2)).sum()
}

impl<T: Element, D> Interventions<T, D> for TaskNetwork
where
    D: for<'b> Examples<T, Batch<'b> = RowBatch<'b, T>>,
{
    fn outcomes(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &RowBatch<'_, T>,
        intervention: Intervention,
        data: &D,
        examples: &[D::Index],
    ) -> Result<Vec<Outcome>, TrainError> {
        let prediction = self.predict(graph, batch, intervention)?;
        let mut buffers = D::Buffers::default();
        let filled = data.fill(&mut buffers, examples, Request::TARGETS)?;
        let targets: Vec<f64> = filled.targets.iter().map(|y| y.to_f64()).collect();
        let rows = targets.chunks_exact(self.target_columns()).enumerate();
        rows.map(|(row, targets)| self.outcome(&prediction, row, targets)).collect()
    }

    fn posteriors(
        &self,
        parameters: &Parameters<T>,
        batch: &RowBatch<'_, T>,
        key: NoiseKey,
        _layer: usize,
    ) -> Result<Posteriors, ModelError> {
        let dims = self.config.units;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.no_grad(|tape| {
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            let one = StackPass { samples: Some(1), ..StackPass::default() };
            let pass = self.forward(&mut graph, batch, Intervention::None, one)?;
            let Some(output) = pass.layers[0] else { return Ok(Posteriors::default()) };
            let double = |var| graph.tape.value(var).data().iter().map(|x: &T| x.to_f64());
            let mu: Vec<f64> = double(output.mu).collect();
            let limited: Vec<f64> =
                double(output.logvar).map(|l| l.clamp(LOGVAR_MIN, LOGVAR_MAX)).collect();
            let logvar = limited.iter().copied().cycle().take(mu.len()).collect();
            Ok(Posteriors { dims, mu, logvar })
        })
    }

    fn unit_effects(
        &self,
        parameters: &Parameters<T>,
        batch: &RowBatch<'_, T>,
        key: NoiseKey,
        samples: usize,
        (layer, units): (usize, &[usize]),
    ) -> Result<UnitEffects, ModelError> {
        let refuse = |reason: String| Err(ModelError::Batch(reason));
        if batch.targets.is_empty() || samples < 2 {
            return refuse("effects of units need targets, and at least two samples".into());
        }
        let count = self.config.units;
        if layer != 0 || !Network::<T>::distributional_layers(self).contains(&0) {
            return refuse(format!("layer {} has no distributional units", layer + 1));
        }
        if let Some(unit) = units.iter().find(|&&unit| unit >= count) {
            return refuse(format!("there is no unit {unit}, only {count}"));
        }
        let base = self.base(parameters, batch, key, samples)?;
        base.effects(self, parameters, batch, units)
    }
}

/// The pass with which replacements are compared.
struct Base<T> {
    prediction: Prediction,
    /// The inputs of the head: latents `[samples, rows, units]`, context and inputs `[rows, ..]`.
    z: Vec<T>,
    context: Vec<T>,
    x: Vec<T>,
    /// Other latents of the same shape: drawn from the prior, and redrawn from the posteriors.
    others: [Vec<T>; 2],
}

impl TaskNetwork {
    fn base<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &RowBatch<'_, T>,
        key: NoiseKey,
        samples: usize,
    ) -> Result<Base<T>, ModelError> {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut pass = |noise, intervention| {
            tape.reset();
            tape.no_grad(|tape| -> Result<Base<T>, ModelError> {
                let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
                let how = StackPass { samples: Some(samples), noise, ..StackPass::default() };
                let pass = self.forward(&mut graph, batch, intervention, how)?;
                let values = |var| graph.tape.value(var).data().to_vec();
                let dims = graph.tape.shape(pass.location).dims();
                let double = |var| -> Vec<f64> {
                    graph.tape.value(var).data().iter().map(|x: &T| x.to_f64()).collect()
                };
                let prediction = Prediction {
                    shape: [dims[0], dims[1], dims[2]],
                    location: double(pass.location),
                    scale: pass.scale.map(double).unwrap_or_default(),
                    kl: Vec::new(),
                };
                let [z, context, x] = [pass.z, pass.context, pass.x].map(values);
                Ok(Base { prediction, z, context, x, others: [Vec::new(), Vec::new()] })
            })
        };
        let stream = self.stack.redraw_stream().number();
        let other = Noise::Addressed(key.with_stream(stream));
        let redrawn = pass(Some((0, other)), Intervention::None)?.z;
        let from_prior = pass(None, Intervention::LayerPrior(0))?.z;
        Ok(Base { others: [from_prior, redrawn], ..pass(None, Intervention::None)? })
    }
}

impl<T: Element> Base<T> {
    /// Replaces each of `units`, one at a time.
    fn effects(
        &self,
        network: &TaskNetwork,
        parameters: &Parameters<T>,
        batch: &RowBatch<'_, T>,
        units: &[usize],
    ) -> Result<UnitEffects, ModelError> {
        let [samples, rows, outputs] = self.prediction.shape;
        let targets: Vec<f64> = batch.targets.iter().map(|y| y.to_f64()).collect();
        let columns = network.target_columns();
        let mut found = UnitEffects {
            value: Vec::with_capacity(units.len() * rows),
            distance: Vec::with_capacity(units.len() * rows),
            variance: Vec::with_capacity(rows),
        };
        let compared =
            |prediction: &Prediction, s, row| network.compared(prediction.outputs(s, row));
        for row in 0..rows {
            let all: Vec<Vec<f64>> =
                (0..samples).map(|s| compared(&self.prediction, s, row)).collect();
            let of = |k: usize| {
                let mean = all.iter().map(|y| y[k]).sum::<f64>() / samples as f64;
                all.iter().map(|y| (y[k] - mean).powi(2)).sum::<f64>() / (samples - 1) as f64
            };
            found.variance.push((0..outputs).map(of).sum());
        }
        let density = |prediction: &Prediction, row: usize| -> Vec<f64> {
            let mut sums = vec![0.0; samples];
            for (column, &y) in targets[row * columns..][..columns].iter().enumerate() {
                let l = network.sample_ln_densities(prediction, [row, column], y);
                sums.iter_mut().zip(l).for_each(|(sum, l)| *sum += l);
            }
            sums
        };
        let own: Vec<Vec<f64>> = (0..rows).map(|row| density(&self.prediction, row)).collect();
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        for &unit in units {
            for (kind, others) in self.others.iter().enumerate() {
                let width = self.z.len() / (samples * rows);
                let mut z = self.z.clone();
                for (to, from) in z.chunks_exact_mut(width).zip(others.chunks_exact(width)) {
                    to[unit] = from[unit];
                }
                tape.reset();
                let (location, scale) = tape.no_grad(|tape| -> Result<_, ModelError> {
                    let key = NoiseKey::new(0, 0, 0);
                    let mut graph =
                        Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
                    let z = graph.tape.constant([samples, rows, width], &z)?;
                    let mut matrix =
                        |from: &[T]| graph.tape.constant([rows, from.len() / rows], from);
                    let beside = [matrix(&self.context)?, matrix(&self.x)?];
                    let (y, scale) = network.outputs(&mut graph, z, beside)?;
                    let double = |var| -> Vec<f64> {
                        graph.tape.value(var).data().iter().map(|x: &T| x.to_f64()).collect()
                    };
                    Ok((double(y), scale.map(double).unwrap_or_default()))
                })?;
                let changed = Prediction { location, scale, ..self.prediction.clone() };
                for row in 0..rows {
                    let mean = match kind {
                        0 => {
                            let new = density(&changed, row);
                            own[row].iter().zip(new).map(|(own, new)| own - new).sum::<f64>()
                        }
                        _ => (0..samples)
                            .map(|s| {
                                let pair =
                                    [&self.prediction, &changed].map(|p| compared(p, s, row));
                                let [a, b] = &pair;
                                a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
                            })
                            .sum(),
                    } / samples as f64;
                    let to = if kind == 0 { &mut found.value } else { &mut found.distance };
                    to.push(mean);
                }
            }
        }
        Ok(found)
    }
}
