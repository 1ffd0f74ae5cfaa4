//! Training objectives of a forecaster.
//!
//! All objectives are in nats per time step of the horizon, so that they are comparable:
//!
//! ```text
//! vib    score(y | z_1..z_S) + sum_i beta KL_i
//! elbo   ( - mean_s ln p(y | z_s) + sum_i KL_i ) / H
//! iwae   - mean_b ln mean_s [ p(y | z_s) p(z_s) / q(z_s | x) ] / H
//! ```
//!
//! With a joint head, `vib` uses the score of the closed form (`joint.rs`).

use crate::forecaster::local::{LossOptions, with_constraints};
use crate::forecaster::targets::Targets;
use crate::forecaster::{Batch, Forecaster, Pass};
use vdn_autograd::{Error, MixtureNll, Score, Tape, Var};
use vdn_model::core::{Graph, ModelError};
use vdn_model::objective::{Objective, check_local_objectives, record_local_objective};
use vdn_model::units::{Intervention, MAX_DEPTH, StackPass};
use vdn_tensor::Element;
use vdn_train::network::log_importance;
use vdn_train::train::Terms;

impl Forecaster {
    /// Records the loss of a batch.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model or has no targets.
    pub fn loss<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
    ) -> Result<Terms, ModelError> {
        self.loss_with(graph, batch, &LossOptions::default())
    }

    /// Records the loss of a batch with local objectives for the layers of units, or with given
    /// noise.
    ///
    /// With `vib`, a layer's local objective replaces `beta` times its KL. `elbo` and `iwae` keep
    /// their KL, and add the other terms of the local objective.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model or has no targets, for an autoregressive term
    /// without earlier windows, and for a local objective that belongs to another layer.
    pub fn loss_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        options: &LossOptions<'_>,
    ) -> Result<Terms, ModelError> {
        if batch.target.is_empty() {
            return Err(ModelError::Batch("a loss needs targets".into()));
        }
        check_local_objectives(self.stack.layers(), &options.locals)?;
        let pass = self.forward_scored(graph, batch, Intervention::None, options.pass())?;
        let rows = self.rows(batch)?;
        let between = self.between_windows(graph, batch, &pass.layers, options)?;
        graph.labelled("loss", |graph| {
            let targets = Targets::record(graph.tape, batch, rows)?;
            let nll = self.nll(graph, &pass, &targets)?;
            let mse = match options.want_mse {
                true => Some(self.squared_error(graph, &pass, &targets)?),
                false => None,
            };
            let layers = pass.layers;
            let mut terms = Terms {
                loss: nll,
                score: nll,
                kl: None,
                mse,
                outputs: layers,
                locals: [None; MAX_DEPTH],
            };
            let one = graph.tape.constant([], &[T::ONE])?;
            let mut loss = nll;
            let mut total = None;
            for (index, layer) in layers.iter().enumerate() {
                let Some(layer) = layer else { continue };
                let kl = graph.tape.weighted_kl(&layer.units, one)?;
                total = Some(match total {
                    Some(total) => graph.tape.add(total, kl)?,
                    None => kl,
                });
                if let Some(local) = options.locals[index] {
                    let units = (&self.stack.layers()[index]).into();
                    terms.locals[index] = Some(record_local_objective(
                        graph,
                        (index, units),
                        layer,
                        local,
                        options.measures,
                        between[index],
                    )?);
                }
                if self.config.objective == Objective::Vib {
                    let weighted = match terms.locals[index] {
                        Some(local) => local.total,
                        None => graph.tape.scale(kl, T::from_f64(self.config.beta_of(index)))?,
                    };
                    loss = graph.tape.add(loss, weighted)?;
                }
            }
            let Some(kl) = total else { return Ok(terms) };
            loss = match self.config.objective {
                Objective::Vib => loss,
                Objective::Elbo => {
                    let likelihood = match targets.is_plain() {
                        true => graph.tape.gaussian_nll(pass.y, pass.sigma, targets.y)?,
                        false => targets.nll(graph.tape, pass.y, pass.sigma)?,
                    };
                    let scaled =
                        graph.tape.scale(kl, T::from_f64(1.0 / self.config.horizon as f64))?;
                    let bound = graph.tape.add(likelihood, scaled)?;
                    with_constraints(graph.tape, bound, &terms.locals)?
                }
                Objective::Iwae => {
                    let bound = self.iwae(graph, &pass, &targets)?;
                    with_constraints(graph.tape, bound, &terms.locals)?
                }
            };
            Ok(Terms { loss, kl: Some(kl), ..terms })
        })
    }

    /// The importance-weighted bound. The ratios `p(z)/q(z|x)` of all layers on a sampled path are
    /// multiplied.
    fn iwae<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &Targets,
    ) -> Result<Var, ModelError> {
        let tape = &mut *graph.tape;
        let horizon = T::from_f64(self.config.horizon as f64);
        let mut ratio = None;
        for layer in pass.layers.iter().flatten() {
            let own = log_importance(tape, layer)?;
            ratio = Some(match ratio {
                Some(sum) => tape.add(sum, own)?,
                None => own,
            });
        }
        let likelihood = match targets.is_plain() {
            true => window_log_densities(tape, pass, targets.y)?,
            false => targets.of_windows(tape, pass.y, pass.sigma)?,
        };
        let weights = match ratio {
            Some(ratio) => tape.add(likelihood, ratio)?,
            None => likelihood,
        };
        let samples = tape.shape(weights).dims()[0];
        let total = tape.logsumexp(weights, 0)?;
        let mean = tape.mean(total)?;
        let bound = tape.add_scalar(mean, T::from_f64(-(samples as f64).ln()))?;
        Ok(tape.scale(bound, -T::ONE / horizon)?)
    }

    /// The negative score of a batch, in nats per time step, from samples or from the closed form.
    fn nll<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &Targets,
    ) -> Result<Var, ModelError> {
        if let Some(joint) = &pass.joint {
            return self.joint_nll(graph, pass, joint, targets);
        }
        if !targets.is_plain() {
            return Ok(targets.mixture_nll(graph.tape, pass, self.config.score)?);
        }
        let y = targets.y;
        let options = MixtureNll { log_weights: pass.scores, ..MixtureNll::new(self.config.score) };
        Ok(graph.tape.mixture_nll_with(pass.y, pass.sigma, y, options)?)
    }

    /// Returns the kind of score in [`Terms::score`] for a sampled forecast. With a joint head that
    /// score is the log-density of whole windows, in nats per step.
    #[must_use]
    pub fn score(&self) -> Score {
        self.config.score
    }
}

/// `ln p(y | z_s)`, summed over the horizon, `[samples, batch]`.
fn window_log_densities<T: Element>(tape: &mut Tape<T>, pass: &Pass, y: Var) -> Result<Var, Error> {
    let residual = tape.sub(y, pass.y)?;
    let standard = tape.div(residual, pass.sigma)?;
    let squares = tape.square(standard)?;
    let log_sigma = tape.ln(pass.sigma)?;
    let twice = tape.scale(log_sigma, T::from_f64(2.0))?;
    let terms = tape.add(squares, twice)?;
    let terms = tape.add_scalar(terms, T::from_f64(std::f64::consts::TAU.ln()))?;
    let terms = tape.sum_axis(terms, 2)?;
    tape.scale(terms, T::from_f64(-0.5))
}

/// The mean squared error of the (weighted) mean over samples, a scalar.
fn squared_error<T: Element>(
    tape: &mut Tape<T>,
    samples: Var,
    scores: Option<Var>,
    targets: &Targets,
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
    let residual = tape.sub(mean, targets.y)?;
    targets.mean_square(tape, residual)
}

impl Forecaster {
    /// The mean squared error of the point forecasts of a pass, a scalar.
    fn squared_error<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &Targets,
    ) -> Result<Var, Error> {
        let means = self.forecast_means(graph, pass, targets)?;
        squared_error(graph.tape, means, pass.scores, targets)
    }

    /// Records the predictive score and the squared error of a batch.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model or has no targets.
    pub fn score_batch<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
    ) -> Result<Terms, ModelError> {
        if batch.target.is_empty() {
            return Err(ModelError::Batch("a score needs targets".into()));
        }
        let pass = self.forward_scored(graph, batch, Intervention::None, StackPass::default())?;
        let rows = self.rows(batch)?;
        graph.labelled("score", |graph| {
            let targets = Targets::record(graph.tape, batch, rows)?;
            let nll = self.nll(graph, &pass, &targets)?;
            let mse = self.squared_error(graph, &pass, &targets)?;
            let (kl, locals) = (None, [None; MAX_DEPTH]);
            Ok(Terms { loss: nll, score: nll, mse: Some(mse), kl, outputs: pass.layers, locals })
        })
    }
}
