//! The mixture score of each row of a batch.
//!
//! A row is scored in blocks of sixteen time steps. For each block and each sample the kernel
//! computes sixteen log-densities. The tempered and the joint score add them up per sample, and
//! take one log-mean-exp over samples at the end. The marginal score takes a log-mean-exp at each
//! time step. The maximum is always subtracted before the exponentials: densities of long windows
//! underflow, their logarithms do not.

use super::{Mixture, Score, blocks, densities, logsumexp};
use crate::extent::Extent;
use crate::parallel::for_each;
use crate::simd::{LANES, Lanes, Simd};
use crate::{Element, Real, dispatch, load_partial, store_partial, with_scratch};

/// Computes the negative score of each row in nats per time step, `rows` `[batch]`. `saved` (of the
/// length [`Mixture::saved_len`]) receives the results that the backward pass needs.
///
/// # Panics
/// Panics if the lengths do not match.
pub fn mixture_nll<T: Element>(mixture: &Mixture<'_, T>, saved: &mut [T], rows: &mut [T]) {
    T::mixture_nll(mixture, saved, rows)
}

/// The body of [`mixture_nll`].
pub(crate) fn mixture_nll_body<T: Element>(
    mixture: &Mixture<'_, T>,
    saved: &mut [T],
    rows: &mut [T],
) {
    let [samples, batch, _] = mixture.dims;
    mixture.check(saved);
    let width = saved.len() / batch.max(1);
    Extent::new("mixture", [batch]).check("the result", rows);
    if mixture.dims[2] == 0 {
        // Means over an empty horizon.
        return [saved, rows].into_iter().for_each(|x| x.fill(T::from_f64(f64::NAN)));
    }
    let rows = Extent::new("mixture", [batch]).share("the result", rows);
    let saved = Extent::new("mixture", [batch, width]).share("saved", saved);
    let per_task = mixture.rows_per_task();
    for_each(batch.div_ceil(per_task), |task| {
        with_scratch(samples, |log_weights: &mut [f64]| {
            with_scratch(samples * LANES, |stage: &mut [T]| {
                for b in task * per_task..batch.min((task + 1) * per_task) {
                    mixture.normalised(b, log_weights);
                    // SAFETY: each row belongs to one task, and its parts are taken once.
                    let (saved, row) =
                        unsafe { (saved.part(b * width..(b + 1) * width), rows.part(b..b + 1)) };
                    row[0] = T::from_f64(dispatch!(for T, simd => match mixture.score {
                        Score::Marginal => marginal_row(simd, mixture, b, log_weights, stage, saved),
                        _ => whole_row(simd, mixture, b, log_weights, stage, saved),
                    }));
                }
            });
        });
    });
}

/// Tempered and joint score: one log-density for each sample, then log-mean-exp. Saves the
/// responsibilities.
#[inline(always)]
fn whole_row<S: Simd, T: Element>(
    simd: S,
    m: &Mixture<'_, T>,
    b: usize,
    log_weights: &mut [f64],
    sums: &mut [T],
    responsibilities: &mut [T],
) -> f64 {
    sums.fill(T::ZERO);
    for block in blocks(m.dims[2]) {
        densities(
            simd,
            m,
            b,
            block,
            #[inline(always)]
            |s, log_density, _, _, _| {
                let sum = &mut sums[s * LANES..(s + 1) * LANES];
                let so_far = load_partial(simd, sum, T::ZERO);
                store_partial(so_far + block.inside::<S, T>(simd, log_density), sum);
            },
        );
    }
    let horizon = m.dims[2] as f64;
    let [before, after] = if m.score == Score::Joint { [1.0, horizon] } else { [horizon, 1.0] };
    for (w, sum) in log_weights.iter_mut().zip(sums.chunks_exact(LANES)) {
        *w += load_partial(simd, sum, T::ZERO).sum().to_f64() / before;
    }
    let total = logsumexp(log_weights);
    for (r, joint) in responsibilities.iter_mut().zip(log_weights) {
        *r = T::from_f64((*joint - total).exp());
    }
    -total / after
}

/// Marginal score: log-mean-exp at each time step, then the mean. Saves the log-mean-exp.
#[inline(always)]
fn marginal_row<S: Simd, T: Element>(
    simd: S,
    m: &Mixture<'_, T>,
    b: usize,
    log_weights: &[f64],
    stage: &mut [T],
    totals: &mut [T],
) -> f64 {
    let lowest = T::splat(simd, T::from_f64(f64::NEG_INFINITY));
    let zero = T::splat(simd, T::ZERO);
    let mut sum = zero;
    for block in blocks(m.dims[2]) {
        let mut max = lowest;
        densities(
            simd,
            m,
            b,
            block,
            #[inline(always)]
            |s, log_density, _, _, _| {
                let joint = log_density + T::splat(simd, T::from_f64(log_weights[s]));
                max = joint.max(max);
                store_partial(joint, &mut stage[s * LANES..(s + 1) * LANES]);
            },
        );
        // If all are minus infinity, nothing is subtracted.
        let shift = T::Lanes::<S>::select(lowest.lt(max), max, zero);
        let mut exponentials = zero;
        for joint in stage.chunks_exact(LANES) {
            exponentials = exponentials + (load_partial(simd, joint, T::ZERO) - shift).exp();
        }
        let total = shift + exponentials.ln();
        store_partial(total, &mut totals[block.start..block.end]);
        sum = sum + block.inside::<S, T>(simd, total);
    }
    -sum.sum().to_f64() / m.dims[2] as f64
}
