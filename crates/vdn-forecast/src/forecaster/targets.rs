//! The targets of a batch, and the score of those that are missing or have a lower limit.
//!
//! A missing target adds nothing to a score, and is not counted in its mean.
//!
//! Quantities that are never negative have a lower limit.
//! What is forecast is `max(X, f)` with a normal `X`, given the units. A target above the limit `f`
//! has the density of `X` there, one on the limit the probability of all that lies below:
//!
//! ```text
//! ln p(y) = ln Normal(y; m, s^2)   y > f            ln p(f) = ln Φ((f - m) / s)
//! ```
//!
//! This is the likelihood of a censored regression (J. Tobin, "Estimation of Relationships for
//! Limited Dependent Variables", Econometrica 26, 1958). The scores of mixtures over samples are
//! formed from it as from normal densities.

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
    /// `[batch, horizon]`; 0 where a target is missing.
    pub(super) y: Var,
    /// Of series with a lower limit.
    pub(super) limited: Option<Limited>,
    /// Where targets are missing.
    pub(super) seen: Option<Seen>,
}

/// Which targets are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// 1 where the target is there, else 0, `[batch, horizon]`.
    pub(super) mask: Var,
    /// One over the number of targets of each window, `[1, batch]`.
    shares: Var,
    /// The number of targets of each window, `[batch]`.
    pub(super) counts: Var,
    /// Targets that are there, at least 1.
    pub(super) count: usize,
}

impl Targets {
    /// Records the targets of `rows` windows; a missing one is NaN.
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

    /// Whether all targets are there and none has a limit.
    pub(super) fn is_plain(&self) -> bool {
        self.limited.is_none() && self.seen.is_none()
    }

    /// `ln p` of each target, 0 of a missing one, `[samples, batch, horizon]` or `[batch, horizon]`
    /// as `mean` is.
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

    /// The sum of `x` over targets, divided by their number, a scalar; `x` is `[samples, batch,
    /// horizon]` with one sample, or `[batch, horizon]`, and 0 where a target is missing.
    fn mean_of<T: Element>(&self, tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
        match self.seen {
            None => tape.mean(x),
            Some(seen) => {
                let sum = tape.sum(x)?;
                tape.scale(sum, T::from_f64(1.0 / seen.count as f64))
            }
        }
    }

    /// The negative mean of `ln p` over all targets and samples, in nats per step, a scalar.
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

    /// The log-density of all targets of each window, `[samples, batch]`.
    pub(super) fn of_windows<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let found = self.log_densities(tape, mean, sigma)?;
        tape.sum_axis(found, 2)
    }

    /// The negative score of the mixture over the samples of a pass, in nats per step, a scalar.
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
        // What is summed over windows, and what it is divided by.
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
            // Means of windows; each of their targets counts.
            mixed = tape.mul(mixed, seen.counts)?;
        }
        let sum = tape.sum(mixed)?;
        tape.scale(sum, T::from_f64(-1.0 / terms))
    }

    /// The mean of squares of `residual` `[batch, horizon]` over the targets, a scalar.
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
    /// The means of what a pass forecasts, `[samples, batch, horizon]`.
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
