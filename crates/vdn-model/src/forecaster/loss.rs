//! What training minimises.
//!
//! All objectives are in nats per time step of the horizon, so that they can be compared:
//!
//! ```text
//! vib    score(y | z_1..z_S) + sum_i beta KL_i
//! elbo   ( - mean_s ln p(y | z_s) + sum_i KL_i ) / H
//! iwae   - mean_b ln mean_s [ p(y | z_s) p(z_s) / q(z_s | x) ] / H
//! ```

use super::config::Objective;
use super::local::{LossOptions, with_constraints};
use super::prediction::Intervention;
use super::{Batch, Forecaster, Pass};
use crate::error::ModelError;
use crate::graph::Graph;
use crate::layer::LayerOutput;
use crate::local_objective::LocalTerms;
use vdn_autograd::{Error, MixtureNll, Score, Tape, UnitOutputs, Var};
use vdn_tensor::Element;

/// The recorded loss and its parts.
#[derive(Clone, Copy, Debug)]
pub struct LossTerms {
    /// What is minimised, a scalar in nats per time step.
    pub loss: Var,
    /// The predictive score alone, a scalar in nats per time step.
    pub nll: Var,
    /// The sum of all units' KL, a scalar in nats per window; `None` for a deterministic twin.
    pub kl: Option<Var>,
    /// The squared error of the samples' mean, if it was asked for.
    pub mse: Option<Var>,
    /// The units' statistics; `None` for a deterministic twin.
    pub units: Option<UnitOutputs>,
    /// The layer's outputs; `None` for a deterministic twin.
    pub layer: Option<LayerOutput>,
    /// The parts of the local objective, where there is one.
    pub local: Option<LocalTerms>,
}

impl Forecaster {
    /// Records the loss of a batch.
    ///
    /// # Errors
    /// A batch that does not fit the model, or without targets.
    pub fn loss<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
    ) -> Result<LossTerms, ModelError> {
        self.loss_with(graph, batch, &LossOptions::default())
    }

    /// Records the loss of a batch with a local objective for the layer of units, or with given noise.
    ///
    /// With a local objective, `vib` has it in the place of `beta` times the KL; `elbo` and `iwae` keep their KL and get
    /// the other terms beside it.
    ///
    /// # Errors
    /// A batch that does not fit the model, or without targets; an autoregressive term without earlier windows.
    pub fn loss_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        options: &LossOptions<'_, T>,
    ) -> Result<LossTerms, ModelError> {
        if batch.target.is_empty() {
            return Err(ModelError::Batch("a loss needs targets".into()));
        }
        let pass = self.forward(graph, batch, Intervention::None, options.noise)?;
        let rows = self.rows(batch)?;
        let ar = match (&pass.units, options.local) {
            (Some(layer), Some(local)) => {
                self.autoregression(graph, batch, layer, local, options.earlier)?
            }
            _ => None,
        };
        graph.labelled("loss", |graph| {
            let y = graph.tape.constant([rows, self.config.horizon], batch.target)?;
            let score =
                MixtureNll { log_weights: pass.scores, ..MixtureNll::new(self.config.score) };
            let nll = graph.tape.mixture_nll_with(pass.y, pass.sigma, y, score)?;
            let mse = match options.want_mse {
                true => Some(squared_error(graph.tape, pass.y, pass.scores, y)?),
                false => None,
            };
            let none =
                LossTerms { loss: nll, nll, kl: None, mse, units: None, layer: None, local: None };
            let Some(layer) = pass.units else { return Ok(none) };
            let one = graph.tape.constant([], &[T::ONE])?;
            let kl = graph.tape.weighted_kl(&layer.units, one)?;
            let local = match options.local {
                Some(local) => {
                    let energy = self.energy(graph, &layer, options.measures)?;
                    Some(local.record(graph.tape, &layer.units, energy, ar)?)
                }
                None => None,
            };
            let loss = match self.config.objective {
                Objective::Vib => match local {
                    Some(local) => graph.tape.add(nll, local.total)?,
                    None => {
                        let weighted = graph.tape.scale(kl, T::from_f64(self.config.beta))?;
                        graph.tape.add(nll, weighted)?
                    }
                },
                Objective::Elbo => {
                    let likelihood = graph.tape.gaussian_nll(pass.y, pass.sigma, y)?;
                    let scaled =
                        graph.tape.scale(kl, T::from_f64(1.0 / self.config.horizon as f64))?;
                    let bound = graph.tape.add(likelihood, scaled)?;
                    with_constraints(graph.tape, bound, local)?
                }
                Objective::Iwae => {
                    let bound = self.iwae(graph, &pass, &layer, y)?;
                    with_constraints(graph.tape, bound, local)?
                }
            };
            let units = Some(layer.units);
            Ok(LossTerms { loss, kl: Some(kl), units, layer: Some(layer), local, ..none })
        })
    }

    /// The importance-weighted bound. `ln p(z)/q(z|x) = sum_i [logvar_i + eps_i^2 - z_i^2] / 2` with the noise read off
    /// the sample, `eps = (z - mu) / sigma`.
    fn iwae<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        layer: &LayerOutput,
        y: Var,
    ) -> Result<Var, ModelError> {
        let tape = &mut *graph.tape;
        let horizon = T::from_f64(self.config.horizon as f64);
        let (low, high) = (2.0 * 1e-4_f64.ln(), 2.0 * 10_f64.ln());
        let logvar = tape.clamp(layer.logvar, T::from_f64(low), T::from_f64(high))?;
        let half = tape.scale(logvar, T::from_f64(-0.5))?;
        let precision = tape.exp(half)?;
        let deviation = tape.sub(layer.units.z, layer.mu)?;
        let noise = tape.mul(deviation, precision)?;
        let noise = tape.square(noise)?;
        let energy = tape.square(layer.units.z)?;
        let ratio = tape.sub(noise, energy)?;
        let ratio = tape.add(ratio, logvar)?;
        let ratio = tape.sum_axis(ratio, 2)?;
        let ratio = tape.scale(ratio, T::from_f64(0.5))?;
        // ln p(y | z_s), summed over the horizon.
        let residual = tape.sub(y, pass.y)?;
        let standard = tape.div(residual, pass.sigma)?;
        let squares = tape.square(standard)?;
        let log_sigma = tape.ln(pass.sigma)?;
        let twice = tape.scale(log_sigma, T::from_f64(2.0))?;
        let terms = tape.add(squares, twice)?;
        let terms = tape.add_scalar(terms, T::from_f64(std::f64::consts::TAU.ln()))?;
        let terms = tape.sum_axis(terms, 2)?;
        let likelihood = tape.scale(terms, T::from_f64(-0.5))?;
        let weights = tape.add(likelihood, ratio)?;
        let samples = tape.shape(weights).dims()[0];
        let total = tape.logsumexp(weights, 0)?;
        let mean = tape.mean(total)?;
        let bound = tape.add_scalar(mean, T::from_f64(-(samples as f64).ln()))?;
        Ok(tape.scale(bound, -T::ONE / horizon)?)
    }

    /// The name of the score that [`LossTerms::nll`] is.
    #[must_use]
    pub fn score(&self) -> Score {
        self.config.score
    }
}

/// The mean squared error of the samples' (weighted) mean, a scalar.
fn squared_error<T: Element>(
    tape: &mut Tape<T>,
    samples: Var,
    scores: Option<Var>,
    y: Var,
) -> Result<Var, Error> {
    let mean = match scores {
        None => tape.mean_axis(samples, 0)?,
        Some(scores) => {
            let dims = *tape.shape(scores);
            let weights = tape.softmax_axis(scores, 0)?;
            let weights = tape.reshape(weights, [dims.dims()[0], dims.dims()[1], 1])?;
            let weighted = tape.mul(samples, weights)?;
            tape.sum_axis(weighted, 0)?
        }
    };
    let residual = tape.sub(mean, y)?;
    let squares = tape.square(residual)?;
    tape.mean(squares)
}

/// Recorded scores of a batch, for validation.
#[derive(Clone, Copy, Debug)]
pub struct BatchScores {
    /// The predictive score, a scalar in nats per time step.
    pub nll: Var,
    /// The squared error of the samples' mean, a scalar.
    pub mse: Var,
    /// The units' statistics; `None` for a deterministic twin.
    pub units: Option<UnitOutputs>,
    /// The layer's outputs; `None` for a deterministic twin.
    pub layer: Option<LayerOutput>,
}

impl Forecaster {
    /// Records the predictive score and the squared error of a batch.
    ///
    /// # Errors
    /// A batch that does not fit the model, or without targets.
    pub fn score_batch<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
    ) -> Result<BatchScores, ModelError> {
        if batch.target.is_empty() {
            return Err(ModelError::Batch("a score needs targets".into()));
        }
        let pass = self.forward(graph, batch, Intervention::None, None)?;
        let rows = self.rows(batch)?;
        graph.labelled("score", |graph| {
            let y = graph.tape.constant([rows, self.config.horizon], batch.target)?;
            let options =
                MixtureNll { log_weights: pass.scores, ..MixtureNll::new(self.config.score) };
            let nll = graph.tape.mixture_nll_with(pass.y, pass.sigma, y, options)?;
            let mse = squared_error(graph.tape, pass.y, pass.scores, y)?;
            let units = pass.units.map(|u| u.units);
            Ok(BatchScores { nll, mse, units, layer: pass.units })
        })
    }
}
