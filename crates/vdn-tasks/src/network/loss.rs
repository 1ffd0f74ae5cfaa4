//! [`TaskNetwork`] as a [`Network`] for the trainer.
//!
//! All objectives are in nats per row and target, so they can be compared:
//!
//! ```text
//! vib    - mean_t ln mean_s p(y_t | z_s) + sum_i beta KL_i
//! elbo   ( - mean_s sum_t ln p(y_t | z_s) + sum_i KL_i ) / T
//! iwae   - ln mean_s [ p(y | z_s) p(z_s) / q(z_s | x) ] / T
//! ```
//!
//! If the likelihood has a scale, `mean_weight / 2` times the squared error of the predicted mean
//! is added to each, in deviations of the target. Without this term, a network that learns its own
//! scales explains targets that are hard to predict by a large scale. The gradient of the mean is
//! then small, and the mean is never learned there (Seitzer and others 2022, "On the Pitfalls of
//! Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks").

use crate::network::likelihood::mixture_score;
use crate::network::{Likelihood, Pass, TaskNetwork, Variant};
use vdn_autograd::{Error, Score, Tape, Var};
use vdn_model::core::{Graph, ModelError, Parameters};
use vdn_model::objective::Objective;
use vdn_model::units::{Intervention, Layers, StackPass};
use vdn_tensor::Element;
use vdn_train::data::RowBatch;
use vdn_train::network::log_importance;
use vdn_train::train::{Locals, Network, Terms};

impl TaskNetwork {
    fn needs_targets<T>(batch: &RowBatch<'_, T>) -> Result<(), ModelError> {
        match batch.targets.is_empty() {
            true => Err(ModelError::Batch("a loss needs targets".into())),
            false => Ok(()),
        }
    }

    /// The negative score of the mixture over samples in nats per row and target.
    fn score<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &[T],
    ) -> Result<Var, ModelError> {
        if let (Likelihood::Gaussian, Some(scale)) = (self.config.likelihood, pass.scale) {
            let dims = graph.tape.shape(pass.location).dims();
            let shape = [dims[1], dims[2]];
            let y = graph.tape.constant(shape, targets)?;
            return Ok(graph.tape.mixture_nll(pass.location, scale, y, Score::Marginal)?);
        }
        let l = self.log_likelihoods(graph.tape, pass, targets)?;
        Ok(mixture_score(graph.tape, l)?)
    }

    /// The mean squared error of the predicted mean.
    fn squared_error<T: Element>(
        &self,
        tape: &mut Tape<T>,
        pass: &Pass,
        targets: &[T],
    ) -> Result<Option<Var>, Error> {
        let mean = match self.config.likelihood {
            Likelihood::Categorical => return Ok(None),
            own if own.is_of_counts() => tape.exp(pass.location)?,
            _ => pass.location,
        };
        let mean = tape.mean_axis(mean, 0)?;
        let shape = *tape.shape(mean);
        let y = tape.constant(shape, targets)?;
        let residual = tape.sub(mean, y)?;
        let squares = tape.square(residual)?;
        Ok(Some(tape.mean(squares)?))
    }

    /// An unbiased estimate of the squared error of the mean over all samples of the units. It is
    /// the squared error of the mean of the given samples, minus the contribution of their own
    /// spread. Otherwise the loss would penalise the spread of the units, which the likelihood
    /// determines.
    fn error_of_mean<T: Element>(
        &self,
        tape: &mut Tape<T>,
        pass: &Pass,
        targets: &[T],
    ) -> Result<Var, Error> {
        let shape = *tape.shape(pass.location);
        let samples = shape.dims()[0] as f64;
        let mean = tape.mean_axis(pass.location, 0)?;
        let y = tape.constant(*tape.shape(mean), targets)?;
        let residual = tape.sub(mean, y)?;
        let squares = tape.square(residual)?;
        let error = tape.mean(squares)?;
        if samples == 1.0 {
            return Ok(error);
        }
        let beyond = tape.sub(pass.location, mean)?;
        let squares = tape.square(beyond)?;
        let spread = tape.mean(squares)?;
        // The variance over samples is `spread S/(S-1)`; the variance of their mean is an S-th of
        // it.
        let own = tape.scale(spread, T::from_f64(1.0 / (samples - 1.0)))?;
        tape.sub(error, own)
    }

    /// The bound of `elbo` and `iwae` without the KL of `elbo`, in nats per row and target, to be
    /// minimised.
    fn bound<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &[T],
    ) -> Result<Var, ModelError> {
        let l = self.log_likelihoods(graph.tape, pass, targets)?;
        let tape = &mut *graph.tape;
        if self.config.objective == Objective::Elbo {
            let mean = tape.mean(l)?;
            return Ok(tape.neg(mean)?);
        }
        let dims = *tape.shape(l);
        let (samples, columns) = (dims.dims()[0], dims.dims()[2]);
        let mut weights = tape.sum_axis(l, 2)?;
        for layer in pass.layers.iter().flatten() {
            let ratio = log_importance(tape, layer)?;
            weights = tape.add(weights, ratio)?;
        }
        let total = tape.logsumexp(weights, 0)?;
        let mean = tape.mean(total)?;
        let mean = tape.add_scalar(mean, T::from_f64(-(samples as f64).ln()))?;
        Ok(tape.scale(mean, T::from_f64(-1.0 / columns as f64))?)
    }
}

impl<T: Element> Network<T> for TaskNetwork {
    type Batch<'a> = RowBatch<'a, T>;

    fn loss(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &RowBatch<'_, T>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        Self::needs_targets(batch)?;
        let pass = self.forward(graph, batch, Intervention::None, StackPass::default())?;
        graph.labelled("loss", |graph| {
            let score = self.score(graph, &pass, batch.targets)?;
            let mut terms = locals.terms(graph, self, &pass.layers, score)?;
            let objective = self.config.objective;
            if let Some(kl) = terms.kl.filter(|_| objective != Objective::Vib) {
                // The bound weights its KL itself. Controllers add their other terms.
                let mut loss = self.bound(graph, &pass, batch.targets)?;
                let tape = &mut *graph.tape;
                if objective == Objective::Elbo {
                    let weight = T::from_f64(1.0 / self.target_columns() as f64);
                    let own = tape.scale(kl, weight)?;
                    loss = tape.add(loss, own)?;
                }
                for local in terms.locals.iter().flatten() {
                    let others = tape.sub(local.total, local.weighted_kl)?;
                    loss = tape.add(loss, others)?;
                }
                terms.loss = loss;
            }
            if locals.want_mse {
                terms.mse = self.squared_error(graph.tape, &pass, batch.targets)?;
            }
            let weight = 0.5 * self.config.mean_weight;
            if weight > 0.0 && self.config.likelihood.has_scale() {
                let error = self.error_of_mean(graph.tape, &pass, batch.targets)?;
                let own = graph.tape.scale(error, T::from_f64(weight))?;
                terms.loss = graph.tape.add(terms.loss, own)?;
            }
            Ok(terms)
        })
    }

    fn layers(&self) -> Layers<'_> {
        self.stack.layers().into()
    }

    fn scores(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &RowBatch<'_, T>,
    ) -> Result<Terms, ModelError> {
        Self::needs_targets(batch)?;
        let pass = self.forward(graph, batch, Intervention::None, StackPass::default())?;
        let score = self.score(graph, &pass, batch.targets)?;
        let terms = Locals::default().terms(graph, self, &pass.layers, score)?;
        Ok(Terms { mse: self.squared_error(graph.tape, &pass, batch.targets)?, ..terms })
    }

    fn initialize(
        &self,
        parameters: &mut Parameters<T>,
        batch: &RowBatch<'_, T>,
    ) -> Result<(), ModelError> {
        self.start(parameters, batch)
    }

    /// In nats per row and target: `beta`, or `1/T` in a bound.
    fn kl_weight(&self, _layer: usize) -> f64 {
        match self.config.objective {
            Objective::Vib => self.config.beta,
            Objective::Elbo | Objective::Iwae => 1.0 / self.target_columns() as f64,
        }
    }

    fn objective(&self) -> Objective {
        self.config.objective
    }

    fn settings(&self) -> String {
        format!("{:?} {:?} {:?}", self.config, self.variant, self.widths)
    }

    fn distributional_layers(&self) -> Vec<usize> {
        match self.variant {
            Variant::Variational => vec![0],
            Variant::Twin => Vec::new(),
        }
    }
}
