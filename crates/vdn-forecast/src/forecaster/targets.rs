//! The targets of a batch, and the scores of targets that are missing or have a lower limit.
//!
//! A missing target contributes nothing to a score, and is not counted in its mean.
//!
//! Quantities that are never negative have a lower limit `f`. The forecast quantity is `max(X, f)`,
//! where `X` is normal given the units. A target above the limit has the density of `X`. A target
//! on the limit has the probability of all values of `X` below it:
//!
//! ```text
//! ln p(y) = ln Normal(y; m, s^2)   y > f            ln p(f) = ln Φ((f - m) / s)
//! ```
//!
//! This is the likelihood of a censored regression (J. Tobin, "Estimation of Relationships for
//! Limited Dependent Variables", Econometrica 26, 1958). The scores of mixtures over samples use it
//! in place of the normal density.

mod limited;

use crate::forecaster::{Batch, Forecaster, Pass};
use limited::Limited;
use vdn_autograd::{Error, Score, Tape, Var};
use vdn_model::core::Graph;
use vdn_tensor::Element;

/// `ln(2 pi) / 2`.
pub(super) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// The targets of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    /// The targets, `[batch, horizon]`; 0 for a missing target.
    pub(super) y: Var,
    /// The limits, for series with a lower limit.
    pub(super) limited: Option<Limited>,
    /// The mask of observed targets, if some are missing.
    pub(super) seen: Option<Seen>,
}

/// The mask and the numbers of observed targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// 1 for an observed target, else 0, `[batch, horizon]`.
    pub(super) mask: Var,
    /// One over the number of observed targets of each window, `[1, batch]`.
    shares: Var,
    /// The number of observed targets of each window, `[batch]`.
    pub(super) counts: Var,
    /// The number of observed targets of the batch, at least 1.
    pub(super) count: usize,
}

impl Targets {
    /// Records the targets of `rows` windows. NaN marks a missing target.
    pub(super) fn record<T: Element>(
        tape: &mut Tape<T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<Self, Error> {
        let horizon = batch.target.len() / rows.max(1);
        let is_missing = |y: &T| y.to_f64().is_nan();
        let seen = match batch.target.iter().any(is_missing) {
            true => Some(Seen::record(tape, batch.target, [rows, horizon])?),
            false => None,
        };
        let y = match seen {
            None => tape.constant([rows, horizon], batch.target)?,
            Some(_) => tape.constant_with([rows, horizon], |to| {
                let each = to.iter_mut().zip(batch.target);
                each.for_each(|(to, y)| *to = if is_missing(y) { T::ZERO } else { *y });
            })?,
        };
        let limited = match batch.beside.floor {
            Some(floors) => Some(Limited::record(tape, batch.target, floors, [rows, horizon])?),
            None => None,
        };
        Ok(Self { y, limited, seen })
    }

    /// Whether all targets are observed and none has a limit.
    pub(super) fn is_plain(&self) -> bool {
        self.limited.is_none() && self.seen.is_none()
    }

    /// Records `ln p` of each target, 0 for a missing one. The shape is that of `mean`:
    /// `[samples, batch, horizon]` or `[batch, horizon]`.
    fn log_densities<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let residual = tape.sub(self.y, mean)?;
        let standard = tape.div(residual, sigma)?;
        let exponent = log_density(tape, standard)?;
        let log_sigma = tape.ln(sigma)?;
        let mut found = tape.sub(exponent, log_sigma)?;
        if let Some(limited) = self.limited {
            let mass = tape.ln_normal_cdf(standard)?;
            found = tape.where_mask(limited.on, mass, found)?;
        }
        match self.seen {
            Some(seen) => tape.mul(found, seen.mask),
            None => Ok(found),
        }
    }

    /// Records the sum of `x` over targets, divided by the number of observed targets; a scalar.
    /// `x` is `[batch, horizon]`, or `[samples, batch, horizon]` with one sample, and 0 for missing
    /// targets.
    fn mean_of<T: Element>(&self, tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
        match self.seen {
            None => tape.mean(x),
            Some(seen) => {
                let sum = tape.sum(x)?;
                tape.scale(sum, T::from_f64(1.0 / seen.count as f64))
            }
        }
    }

    /// Records the negative mean of `ln p` over all targets and samples, in nats per step, a
    /// scalar.
    pub(super) fn nll<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let mut found = self.log_densities(tape, mean, sigma)?;
        if tape.shape(found).rank() == 3 {
            found = tape.mean_axis(found, 0)?;
        }
        let found = self.mean_of(tape, found)?;
        tape.neg(found)
    }

    /// Records the log-density of all targets of each window, `[samples, batch]`.
    pub(super) fn of_windows<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let found = self.log_densities(tape, mean, sigma)?;
        tape.sum_axis(found, 2)
    }

    /// Records the negative score of the mixture over the samples of a pass, in nats per step, a
    /// scalar.
    pub(super) fn mixture_nll<T: Element>(
        &self,
        tape: &mut Tape<T>,
        pass: &Pass,
        score: Score,
    ) -> Result<Var, Error> {
        let each = self.log_densities(tape, pass.y, pass.sigma)?;
        let shape = *tape.shape(each);
        let &[samples, rows, horizon] = shape.dims() else {
            return Err(Error::invalid("targets", format!("predictions are {shape}")));
        };
        let weights = match pass.scores {
            Some(scores) => {
                let all = tape.logsumexp(scores, 0)?;
                tape.sub(scores, all)?
            }
            None => {
                let equal = T::from_f64(-(samples as f64).ln());
                tape.constant_with([samples, rows], |to| to.fill(equal))?
            }
        };
        let count = self.seen.map_or(rows * horizon, |seen| seen.count) as f64;
        // The values that are summed over windows, and the divisor of the sum.
        let (paths, terms) = match score {
            Score::Marginal => {
                let weights = tape.reshape(weights, [samples, rows, 1])?;
                (tape.add(each, weights)?, count)
            }
            Score::Tempered => {
                let means = match self.seen {
                    None => tape.mean_axis(each, 2)?,
                    Some(seen) => {
                        let sums = tape.sum_axis(each, 2)?;
                        tape.mul(sums, seen.shares)?
                    }
                };
                (tape.add(means, weights)?, if self.seen.is_some() { count } else { rows as f64 })
            }
            Score::Joint => {
                let sums = tape.sum_axis(each, 2)?;
                (tape.add(sums, weights)?, count)
            }
        };
        let mut mixed = tape.logsumexp(paths, 0)?;
        if let (Score::Tempered, Some(seen)) = (score, self.seen) {
            // These are means over the targets of a window: the weight of a window is its number of
            // targets.
            mixed = tape.mul(mixed, seen.counts)?;
        }
        let sum = tape.sum(mixed)?;
        tape.scale(sum, T::from_f64(-1.0 / terms))
    }

    /// Records the mean of the squares of `residual` `[batch, horizon]` over the observed targets,
    /// a scalar.
    pub(super) fn mean_square<T: Element>(
        &self,
        tape: &mut Tape<T>,
        residual: Var,
    ) -> Result<Var, Error> {
        let mut squares = tape.square(residual)?;
        if let Some(seen) = self.seen {
            squares = tape.mul(squares, seen.mask)?;
        }
        self.mean_of(tape, squares)
    }
}

impl Seen {
    fn record<T: Element>(
        tape: &mut Tape<T>,
        targets: &[T],
        [rows, horizon]: [usize; 2],
    ) -> Result<Self, Error> {
        let is_there = |y: &&T| !y.to_f64().is_nan();
        let mask = tape.constant_with([rows, horizon], |to| {
            let each = to.iter_mut().zip(targets);
            each.for_each(|(to, y)| *to = if is_there(&y) { T::ONE } else { T::ZERO });
        })?;
        let shares = tape.constant_with([1, rows], |to| {
            for (to, window) in to.iter_mut().zip(targets.chunks_exact(horizon)) {
                let count = window.iter().filter(is_there).count().max(1);
                *to = T::from_f64(1.0 / count as f64);
            }
        })?;
        let counts = tape.constant_with([rows], |to| {
            for (to, window) in to.iter_mut().zip(targets.chunks_exact(horizon)) {
                *to = T::from_f64(window.iter().filter(is_there).count() as f64);
            }
        })?;
        let count = targets.iter().filter(is_there).count().max(1);
        Ok(Self { mask, shares, counts, count })
    }
}

/// The log-density of a standard normal.
fn log_density<T: Element>(tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
    let square = tape.square(x)?;
    let half = tape.scale(square, T::from_f64(-0.5))?;
    tape.add_scalar(half, T::from_f64(-HALF_LN_TAU))
}

impl Forecaster {
    /// Records the means of the forecast quantity of a pass, `[samples, batch, horizon]`.
    pub(super) fn forecast_means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &Targets,
    ) -> Result<Var, Error> {
        let total = pass.joint.map_or(pass.sigma, |joint| joint.total);
        match targets.limited {
            Some(limited) => limited.means(graph.tape, pass.y, total),
            None => Ok(pass.y),
        }
    }
}

#[cfg(test)]
mod tests;
