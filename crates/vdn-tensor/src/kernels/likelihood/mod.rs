//! Normal log-densities, and the fused log-score of a mixture of normals over samples.
//!
//! The score of one window compares `S` predictions of `H` numbers, with their deviations, with the
//! `H` observed numbers. One kernel computes the score and another its gradient, one row of the
//! batch at a time. The horizon is spread over the lanes, and samples are the inner loop. No array
//! of size `[S, B, H]` is written except the gradient itself.

mod backward;
mod forward;

pub use backward::{MixtureGradients, mixture_nll_backward};
pub use forward::mixture_nll;

pub(super) use backward::mixture_nll_backward_body;
pub(super) use forward::mixture_nll_body;

use super::tree::CHUNK;
use crate::extent::Extent;
use crate::families::is_ordinary;
use crate::real::Mask;
use crate::simd::{LANES, Simd};
use crate::{Element, Real, load_partial};

/// `ln(2 pi) / 2`.
const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// The guard of a normal density against vanishing deviations.
///
/// With `s = max(sigma, sigma_floor)` the log-density of one number is
/// `-(ln(2 pi)/2 + ln(s + eps) + (y - mu)^2 / (2 (s^2 + eps)))`, in nats. The gradient with respect
/// to a sigma below the floor is 0. By default there is no guard: both numbers are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Density {
    /// The smallest deviation; 0 for none.
    pub sigma_floor: f64,
    /// The number added to the deviation in the logarithm and to the variance in the quotient.
    pub eps: f64,
}

/// The part of a log-density that depends only on sigma.
#[derive(Clone, Copy, Debug)]
pub struct Scale<R: Real> {
    /// `ln(2 pi)/2 + ln(s + eps)`.
    pub log_norm: R,
    /// The scale of distances.
    pub spread: Spread<R>,
}

/// The scale by which distances are divided.
#[derive(Clone, Copy, Debug)]
pub struct Spread<R: Real> {
    /// `1 / (s^2 + eps)`.
    pub precision: R,
    /// `max(s, sqrt(eps))`: the deviation, for use when the precision exceeds the range of numbers.
    pub deviation: R,
}

impl Density {
    /// Returns the terms of the log-density that depend on `sigma`.
    #[inline(always)]
    #[must_use]
    pub fn scale<R: Real>(&self, sigma: R) -> Scale<R> {
        let s = sigma.max(sigma.lit(self.sigma_floor));
        let log_norm = (s + s.lit(self.eps)).ln() + s.lit(HALF_LN_2PI);
        Scale { log_norm, spread: self.spread(sigma) }
    }

    /// Returns the scale by which distances are divided.
    #[inline(always)]
    #[must_use]
    pub fn spread<R: Real>(&self, sigma: R) -> Spread<R> {
        let s = sigma.max(sigma.lit(self.sigma_floor));
        let precision = s.lit(1.0) / s.mul_add(s, s.lit(self.eps));
        Spread { precision, deviation: s.max(s.lit(self.eps.sqrt())) }
    }

    /// Returns the log-density at `distance = y - mu`.
    #[inline(always)]
    #[must_use]
    pub fn log_density<R: Real>(&self, distance: R, scale: Scale<R>) -> R {
        let Scale { log_norm, spread } = scale;
        let square = distance * distance;
        let half = square * distance.lit(-0.5);
        let plain = half.mul_add(spread.precision, -log_norm);
        let ordinary = is_ordinary(spread.precision) & square.lt(square.lit(1e36));
        if ordinary.all() {
            return plain;
        }
        let x = distance / spread.deviation;
        R::select(ordinary, plain, (x * x).mul_add(x.lit(-0.5), -log_norm))
    }

    /// Returns the derivative of the log-density with respect to `mu`; the derivative with respect
    /// to `y` is its negative.
    #[inline(always)]
    #[must_use]
    pub fn mean_slope<R: Real>(&self, distance: R, spread: Spread<R>) -> R {
        let Spread { precision, deviation } = spread;
        let (plain, ordinary) = (distance * precision, is_ordinary(precision));
        if ordinary.all() {
            return plain;
        }
        R::select(ordinary, plain, distance / deviation / deviation)
    }

    /// Returns the derivative of the log-density with respect to `sigma`, from
    /// [`Density::mean_slope`].
    #[inline(always)]
    #[must_use]
    pub fn sigma_slope<R: Real>(&self, mean_slope: R, sigma: R) -> R {
        let slope =
            mean_slope * mean_slope * sigma - sigma.lit(1.0) / (sigma + sigma.lit(self.eps));
        R::select(sigma.ge(sigma.lit(self.sigma_floor)), slope, sigma.lit(0.0))
    }

    /// Returns `weight` times [`Density::sigma_slope`]: 0 for a weight of 0, and finite if the
    /// product is, although the slope may overflow. (A sample far away has almost no weight.)
    #[inline(always)]
    #[must_use]
    pub fn sigma_pull<R: Real>(&self, weight: R, mean_slope: R, sigma: R) -> R {
        let slope = self.sigma_slope(mean_slope, sigma);
        let (plain, finite) = (weight * slope, slope.abs().lt(slope.lit(f64::INFINITY)));
        if finite.all() {
            return plain;
        }
        let by_distance = weighted(weighted(weight, mean_slope), mean_slope * sigma);
        let by_norm = weight / (sigma + sigma.lit(self.eps));
        let above = sigma.ge(sigma.lit(self.sigma_floor));
        let careful = R::select(above, by_distance - by_norm, sigma.lit(0.0));
        R::select(finite, plain, careful)
    }
}

/// Returns `weight * x`; 0 for a weight of 0.
#[inline(always)]
fn weighted<R: Real>(weight: R, x: R) -> R {
    let zero = weight.lit(0.0);
    R::select(weight.le(zero) & weight.ge(zero), weight, weight * x)
}

/// The rule that turns the log-densities of a window's samples into its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Score {
    /// Each sample's log-density is averaged over the horizon, then log-mean-exp is taken over
    /// samples.
    Tempered,
    /// Log-mean-exp is taken over samples at each time step, then the mean over the horizon: a
    /// composite likelihood.
    Marginal,
    /// Each sample's log-density is summed over the horizon, then log-mean-exp is taken over
    /// samples: the density of the whole window. At the end it is divided by the horizon, so that
    /// all scores are in nats per time step.
    Joint,
}

/// A batch of windows and their sampled predictions.
#[derive(Clone, Copy, Debug)]
pub struct Mixture<'a, T> {
    /// The numbers of samples (at least 1), of windows in the batch, and of steps in the horizon.
    pub dims: [usize; 3],
    /// The predicted means, `[samples, batch, horizon]`.
    pub mu: &'a [T],
    /// The deviations: `[horizon]`, `[batch, horizon]` or `[samples, batch, horizon]`.
    pub sigma: &'a [T],
    /// The observed values, `[batch, horizon]`.
    pub y: &'a [T],
    /// The logarithms of the samples' weights, `[samples, batch]`, up to a constant for each
    /// window; `None` for equal weights.
    pub log_weights: Option<&'a [T]>,
    /// The guard of the density.
    pub density: Density,
    /// The score.
    pub score: Score,
}

impl<T: Element> Mixture<'_, T> {
    /// Returns the count of numbers that [`mixture_nll`] saves for the backward pass:
    /// responsibilities `[batch, samples]`, or log-scores `[batch, horizon]` for
    /// [`Score::Marginal`].
    #[must_use]
    pub fn saved_len(&self) -> usize {
        let [samples, batch, horizon] = self.dims;
        batch.saturating_mul(if self.score == Score::Marginal { horizon } else { samples })
    }

    /// Returns whether each sample has its own deviations.
    #[must_use]
    pub fn sigma_per_sample(&self) -> bool {
        self.sigma.len() == self.mu.len()
    }

    /// Returns the start of the deviations of row `b` of sample `s`.
    fn sigma_row(&self, s: usize, b: usize) -> usize {
        let [_, batch, horizon] = self.dims;
        match self.sigma.len() {
            len if len == self.mu.len() => (s * batch + b) * horizon,
            len if len == batch * horizon => b * horizon,
            _ => 0,
        }
    }

    /// Checks the lengths of all arrays. Returns the extents of the means, of the values and of the
    /// weights.
    fn check(&self, saved: &[T]) -> [Extent<3>; 3] {
        let [samples, batch, horizon] = self.dims;
        let [all, rows, weights, saved_extent] = [
            [samples, batch, horizon],
            [1, batch, horizon],
            [samples, batch, 1],
            [1, batch, if self.score == Score::Marginal { horizon } else { samples }],
        ]
        .map(|dims| Extent::new("mixture", dims));
        assert!(samples > 0, "mixture: no samples for {:?}", self.dims);
        all.check("mu", self.mu);
        rows.check("y", self.y);
        let fits = [horizon, rows.len(), all.len()].contains(&self.sigma.len());
        assert!(fits, "mixture: {} deviations for {:?}", self.sigma.len(), self.dims);
        weights.check_any("log_weights", [self.log_weights]);
        saved_extent.check("saved", saved);
        [all, rows, weights]
    }

    /// Returns the number of rows per parallel task.
    fn rows_per_task(&self) -> usize {
        (CHUNK / (self.dims[0] * self.dims[2]).max(1)).max(1)
    }

    /// Computes the logarithms of the normalised weights of row `b`.
    fn normalised(&self, b: usize, log_weights: &mut [f64]) {
        let [samples, batch, _] = self.dims;
        let Some(given) = self.log_weights else { return log_weights.fill(-(samples as f64).ln()) };
        for (s, w) in log_weights.iter_mut().enumerate() {
            *w = given[s * batch + b].to_f64();
        }
        let total = logsumexp(log_weights);
        log_weights.iter_mut().for_each(|w| *w -= total);
    }
}

fn logsumexp(x: &[f64]) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Without a finite maximum nothing is subtracted: all minus infinity stays, and NaN stays NaN.
    let shift = if max.is_finite() { max } else { 0.0 };
    shift + x.iter().map(|x| (x - shift).exp()).sum::<f64>().ln()
}

/// The positions of a block of the horizon: for row `b` of sample `s` they are
/// `row(s) + start..row(s) + end`.
#[derive(Clone, Copy)]
struct Block {
    start: usize,
    end: usize,
}

#[inline(always)]
fn blocks(horizon: usize) -> impl Iterator<Item = Block> {
    (0..horizon).step_by(LANES).map(
        #[inline(always)]
        move |start| Block { start, end: horizon.min(start + LANES) },
    )
}

impl Block {
    #[inline(always)]
    fn load<S: Simd, T: Element>(self, simd: S, x: &[T], row: usize, fill: T) -> T::Lanes<S> {
        load_partial(simd, &x[row + self.start..row + self.end], fill)
    }

    /// Returns `x` with zeros beyond the end of the horizon.
    #[inline(always)]
    fn inside<S: Simd, T: Element>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let len = self.end - self.start;
        if len == LANES {
            return x;
        }
        let valid = load_partial(simd, &[T::ONE; LANES][..len], T::ZERO);
        let zero = T::splat(simd, T::ZERO);
        T::Lanes::<S>::select(zero.lt(valid), x, zero)
    }
}

/// Computes the log-densities of one block for every sample. Calls `each` with the sample, its
/// log-density, `y - mu`, sigma and the spread.
#[inline(always)]
fn densities<S: Simd, T: Element>(
    simd: S,
    m: &Mixture<'_, T>,
    b: usize,
    block: Block,
    mut each: impl FnMut(usize, T::Lanes<S>, T::Lanes<S>, T::Lanes<S>, Spread<T::Lanes<S>>),
) {
    let [samples, batch, horizon] = m.dims;
    let y = block.load(simd, m.y, b * horizon, T::ZERO);
    let mut sigma = block.load(simd, m.sigma, m.sigma_row(0, b), T::ONE);
    let mut scale = m.density.scale(sigma);
    for s in 0..samples {
        if s > 0 && m.sigma_per_sample() {
            sigma = block.load(simd, m.sigma, m.sigma_row(s, b), T::ONE);
            scale = m.density.scale(sigma);
        }
        let distance = y - block.load(simd, m.mu, (s * batch + b) * horizon, T::ZERO);
        each(s, m.density.log_density(distance, scale), distance, sigma, scale.spread);
    }
}
