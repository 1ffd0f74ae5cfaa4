//! The log-likelihood of targets given samples of the units, recorded on the tape.

use crate::network::{Likelihood, Pass, TaskNetwork};
use vdn_autograd::{Error, Tape, Var};
use vdn_model::core::ModelError;
use vdn_tensor::Element;

impl TaskNetwork {
    /// Records `ln p(y | z_s)` of each sample, row and target, `[samples, batch, targets]`; for
    /// classes `[samples, batch, 1]`.
    ///
    /// # Errors
    /// Returns an error if a target is outside the likelihood's domain: a count that is not a whole
    /// number of at least 0, or a class that does not exist.
    pub(crate) fn log_likelihoods<T: Element>(
        &self,
        tape: &mut Tape<T>,
        pass: &Pass,
        targets: &[T],
    ) -> Result<Var, ModelError> {
        let location = pass.location;
        let [samples, rows, outputs] = {
            let dims = tape.shape(location).dims();
            [dims[0], dims[1], dims[2]]
        };
        let likelihood = self.config.likelihood;
        match (likelihood, pass.scale) {
            (Likelihood::Categorical, _) => {
                let of_class = one_hot(tape, rows, outputs, targets)?;
                let log_p = tape.log_softmax(location, 2)?;
                let chosen = tape.mul(log_p, of_class)?;
                let sums = tape.sum_axis(chosen, 2)?;
                Ok(tape.reshape(sums, [samples, rows, 1])?)
            }
            (Likelihood::Poisson, _) => {
                let y = counts(tape, [rows, outputs], targets)?;
                Ok(tape.poisson_log_prob(location, y)?)
            }
            (Likelihood::NegativeBinomial, Some(dispersion)) => {
                let y = counts(tape, [rows, outputs], targets)?;
                let log_dispersion = tape.ln(dispersion)?;
                Ok(tape.negative_binomial_log_prob(location, log_dispersion, y)?)
            }
            (Likelihood::Laplace, Some(scale)) => {
                let y = tape.constant([rows, outputs], targets)?;
                let residual = tape.sub(y, location)?;
                let standard = tape.div(residual, scale)?;
                let distance = tape.abs(standard)?;
                let log_scale = tape.ln(scale)?;
                let both = tape.add(distance, log_scale)?;
                let negative = tape.neg(both)?;
                Ok(tape.add_scalar(negative, T::from_f64(-2_f64.ln()))?)
            }
            (_, Some(scale)) => {
                let family = match likelihood {
                    Likelihood::StudentT => self.family(),
                    _ => vdn_autograd::ObservationFamily::Gaussian,
                };
                let y = tape.constant([rows, outputs], targets)?;
                let log_scale = tape.ln(scale)?;
                Ok(tape.log_density(family, location, log_scale, y)?)
            }
            (_, None) => Err(ModelError::config("likelihood", "has no output for its scale")),
        }
    }
}

/// Whether a number is a count.
fn is_count(y: f64) -> bool {
    y >= 0.0 && y.is_finite() && y.fract() == 0.0
}

/// The targets as counts, `[rows, outputs]`.
fn counts<T: Element>(
    tape: &mut Tape<T>,
    shape: [usize; 2],
    targets: &[T],
) -> Result<Var, ModelError> {
    if let Some(y) = targets.iter().find(|y| !is_count(y.to_f64())) {
        let reason = format!("the target {} is not a count from 0 on", y.to_f64());
        return Err(ModelError::Batch(reason));
    }
    Ok(tape.constant(shape, targets)?)
}

/// The one-hot encoding of each row's class, `[rows, classes]`.
fn one_hot<T: Element>(
    tape: &mut Tape<T>,
    rows: usize,
    classes: usize,
    targets: &[T],
) -> Result<Var, ModelError> {
    let good = |y: f64| is_count(y) && (y as usize) < classes;
    if let Some(y) = targets.iter().map(|y| y.to_f64()).find(|&y| !good(y)) {
        let reason = format!("the class {y} is not one of {classes}, counted from 0");
        return Err(ModelError::Batch(reason));
    }
    Ok(tape.constant_with([rows, classes], |to: &mut [T]| {
        to.fill(T::ZERO);
        for (row, class) in to.chunks_exact_mut(classes).zip(targets) {
            row[class.to_f64() as usize] = T::ONE;
        }
    })?)
}

/// The score of the mixture over samples: the mean over rows and targets of `-ln mean_s e^l`, with
/// `l` `[samples, batch, targets]`.
pub(crate) fn mixture_score<T: Element>(tape: &mut Tape<T>, l: Var) -> Result<Var, Error> {
    let samples = tape.shape(l).dims()[0];
    let total = tape.logsumexp(l, 0)?;
    let mean = tape.mean(total)?;
    let shifted = tape.add_scalar(mean, T::from_f64(-(samples as f64).ln()))?;
    tape.neg(shifted)
}
