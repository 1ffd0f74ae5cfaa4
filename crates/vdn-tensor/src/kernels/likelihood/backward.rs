//! The gradients of the mixture scores.
//!
//! The responsibility of a sample is its share of the mixture's density. The forward pass saved it
//! (or, for the marginal score, the total from which it follows). The slope of a score with respect
//! to a sample's log-density is minus its responsibility, so one pass over samples and horizon
//! writes all gradients. A sample far away has a responsibility of almost 0 and a huge slope; their
//! product is formed so that 0 times infinity is 0.

use super::{Block, Mixture, Score, blocks, densities, weighted};
use crate::parallel::{SharedMut, for_each};
use crate::simd::{LANES, Lanes, Simd};
use crate::{Element, Mask, Real, dispatch, load_partial, store_partial, with_scratch};

/// The required gradients. `sigma` is `[samples, batch, horizon]` if the deviations are; otherwise
/// it is `[batch, horizon]`. (For deviations `[horizon]` the sum over the batch remains to be
/// taken.) The other gradients have the shapes of their inputs.
#[derive(Debug, Default)]
pub struct MixtureGradients<'a, T> {
    /// The gradient with respect to the means.
    pub mu: Option<&'a mut [T]>,
    /// The gradient with respect to the deviations.
    pub sigma: Option<&'a mut [T]>,
    /// The gradient with respect to the observed values.
    pub y: Option<&'a mut [T]>,
    /// The gradient with respect to the log-weights.
    pub log_weights: Option<&'a mut [T]>,
}

/// Computes the gradients of `slope` times the sum over rows of
/// [`mixture_nll`](super::mixture_nll), from its saved results.
///
/// # Panics
/// Panics if the lengths do not match.
pub fn mixture_nll_backward<T: Element>(
    mixture: &Mixture<'_, T>,
    saved: &[T],
    slope: T,
    gradients: MixtureGradients<'_, T>,
) {
    T::mixture_nll_backward(mixture, saved, slope, gradients)
}

/// The body of [`mixture_nll_backward`].
pub(crate) fn mixture_nll_backward_body<T: Element>(
    mixture: &Mixture<'_, T>,
    saved: &[T],
    slope: T,
    gradients: MixtureGradients<'_, T>,
) {
    let [samples, batch, horizon] = mixture.dims;
    let [all, rows, weights] = mixture.check(saved);
    let of_sigma = if mixture.sigma_per_sample() { all } else { rows };
    let MixtureGradients { mu, sigma, y, log_weights } = gradients;
    let wanted = [
        mu.map(|to| all.share("the gradient of mu", to)),
        sigma.map(|to| of_sigma.share("the gradient of sigma", to)),
        y.map(|to| rows.share("the gradient of y", to)),
        log_weights.map(|to| weights.share("the gradient of log_weights", to)),
    ];
    if horizon == 0 {
        // The means over an empty batch are NaN; the other gradients are empty.
        if let Some(to) = wanted[3] {
            // SAFETY: one part, which is all of it.
            unsafe { to.part(0..weights.len()) }.fill(T::from_f64(f64::NAN));
        }
        return;
    }
    let per_task = mixture.rows_per_task();
    for_each(batch.div_ceil(per_task), |task| {
        with_scratch(samples, |log_weights: &mut [f64]| {
            with_scratch(samples * LANES, |stage: &mut [T]| {
                for b in task * per_task..batch.min((task + 1) * per_task) {
                    mixture.normalised(b, log_weights);
                    dispatch!(for T, simd => {
                        backward_row(simd, mixture, b, (log_weights, saved, stage), slope, wanted);
                    });
                }
            });
        });
    });
}

/// Computes the gradients of one row. With `r` the responsibility of a sample (at a time step, for
/// the marginal score), the slope of a log-density is `-slope r / H`.
#[inline(always)]
fn backward_row<S: Simd, T: Element>(
    simd: S,
    m: &Mixture<'_, T>,
    b: usize,
    (log_weights, saved, stage): (&[f64], &[T], &mut [T]),
    slope: T,
    [d_mu, d_sigma, d_y, d_log_weights]: [Option<SharedMut<'_, T>>; 4],
) {
    let [samples, batch, horizon] = m.dims;
    let marginal = m.score == Score::Marginal;
    let slope = slope.to_f64();
    let factor = T::splat(simd, T::from_f64(-slope / horizon as f64));
    let zero = T::splat(simd, T::ZERO);
    stage.fill(T::ZERO);
    for block in blocks(horizon) {
        let total = if marginal { block.load(simd, saved, b * horizon, T::ZERO) } else { zero };
        let (mut pull_y, mut pull_sigma) = (zero, zero);
        densities(
            simd,
            m,
            b,
            block,
            #[inline(always)]
            |s, log_density, distance, sigma, spread| {
                let responsibility = if marginal {
                    (log_density + T::splat(simd, T::from_f64(log_weights[s])) - total).exp()
                } else {
                    T::splat(simd, saved[b * samples + s])
                };
                let weight = responsibility * factor;
                let row = (s * batch + b) * horizon;
                let mean_slope = m.density.mean_slope(distance, spread);
                let mut pull = weight * mean_slope;
                if !mean_slope.abs().lt(mean_slope.lit(f64::INFINITY)).all() {
                    pull = weighted(weight, mean_slope);
                }
                store::<S, T>(d_mu, row, block, pull);
                pull_y = pull_y - pull;
                let pull = m.density.sigma_pull(weight, mean_slope, sigma);
                if m.sigma_per_sample() {
                    store::<S, T>(d_sigma, row, block, pull);
                } else {
                    pull_sigma = pull_sigma + pull;
                }
                if marginal && d_log_weights.is_some() {
                    let sum = &mut stage[s * LANES..(s + 1) * LANES];
                    let so_far = load_partial(simd, sum, T::ZERO);
                    store_partial(so_far + block.inside::<S, T>(simd, responsibility), sum);
                }
            },
        );
        store::<S, T>(d_y, b * horizon, block, pull_y);
        if !m.sigma_per_sample() {
            store::<S, T>(d_sigma, b * horizon, block, pull_sigma);
        }
    }
    let Some(to) = d_log_weights else { return };
    for (s, sum) in stage.chunks_exact(LANES).enumerate() {
        let (mean, slope) = match m.score {
            Score::Marginal => {
                (load_partial(simd, sum, T::ZERO).sum().to_f64() / horizon as f64, slope)
            }
            Score::Joint => (saved[b * samples + s].to_f64(), slope / horizon as f64),
            Score::Tempered => (saved[b * samples + s].to_f64(), slope),
        };
        // SAFETY: one number of one row.
        let to = unsafe { to.part(s * batch + b..s * batch + b + 1) };
        to[0] = T::from_f64(slope * (log_weights[s].exp() - mean));
    }
}

/// Writes a block of one row of a gradient, if the gradient is required.
#[inline(always)]
fn store<S: Simd, T: Element>(
    to: Option<SharedMut<'_, T>>,
    row: usize,
    block: Block,
    x: T::Lanes<S>,
) {
    if let Some(to) = to {
        // SAFETY: rows of different tasks are disjoint, and a part is let go before the next is
        // taken.
        store_partial(x, unsafe { to.part(row + block.start..row + block.end) });
    }
}
