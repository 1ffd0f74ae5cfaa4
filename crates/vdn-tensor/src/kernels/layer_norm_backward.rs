//! The adjoint of layer normalisation: all gradients in one pass over the input and the gradient of
//! the output.
//!
//! With `g = d_out * weight` and `h = (x - mean) * rstd`:
//!
//! ```text
//! dx = rstd (g - mean of g - h mean of g h)     dweight = sum over rows of d_out h     dbias = sum over rows of d_out
//! ```
//!
//! Sums over rows are computed for blocks of rows, one row after the other. The sums of blocks are
//! then combined in the fixed tree of all reductions.

use super::fold::{Plain, Sum};
use super::layer_norm::{extents, rows_per_task, standardised};
use super::tree::{fold_columns, fold_row, for_each_group};
use crate::extent::Extent;
use crate::parallel::for_each;
use crate::simd::Simd;
use crate::{Element, Real, dispatch, load_partial, store_partial, with_scratch};
use std::ops::Range;

/// The number of rows per block of the sums over rows.
const BLOCK: usize = 16;

/// The outputs for the gradients of layer normalisation; `None` for gradients that are not needed.
#[derive(Debug)]
pub struct LayerNormGradients<'a, T> {
    /// The gradient of the input, `[rows, n]`.
    pub x: Option<&'a mut [T]>,
    /// The gradient of the weight, `[n]`.
    pub weight: Option<&'a mut [T]>,
    /// The gradient of the bias, `[n]`.
    pub bias: Option<&'a mut [T]>,
}

/// Computes the gradients of [`layer_norm`](super::layer_norm) from the gradient `d_out`,
/// `[rows, n]`, of its output. `x` and `weight` are its inputs, and `mean` and `rstd` are the
/// results that it saved.
///
/// # Panics
/// Panics if the lengths do not match.
pub fn layer_norm_backward<T: Element>(
    x: &[T],
    weight: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    gradients: LayerNormGradients<'_, T>,
) {
    T::layer_norm_backward(x, weight, mean, rstd, d_out, gradients)
}

/// The body of [`layer_norm_backward`].
pub(crate) fn layer_norm_backward_body<T: Element>(
    x: &[T],
    weight: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    gradients: LayerNormGradients<'_, T>,
) {
    const NAME: &str = "layer_norm_backward";
    let [rows, n] = [mean.len(), weight.len()];
    let [all, row, column] = extents(NAME, [rows, n]);
    all.check("the input", x);
    all.check("the gradient of the output", d_out);
    column.check("rstd", rstd);
    let LayerNormGradients { x: dx, weight: d_weight, bias: d_bias } = gradients;
    all.check_any("the gradient of the input", [dx.as_deref()]);
    row.check_any("a gradient", [d_weight.as_deref(), d_bias.as_deref()]);
    let wants = (dx.is_some(), d_weight.is_some() || d_bias.is_some());
    let blocks = if wants.1 { rows.div_ceil(BLOCK) } else { 0 };
    let per_task = rows_per_task(n).next_multiple_of(BLOCK);
    let pass = Pass { x, weight, mean, rstd, d_out };
    with_scratch((blocks + 1) * 2 * n, |scratch: &mut [T]| {
        let (sums, partial) = scratch.split_at_mut(2 * n);
        let dx = dx.map(|dx| all.share("the gradient of the input", dx));
        let parts = Extent::new(NAME, [blocks, 2, n]).share("the sums", &mut *partial);
        for_each(rows.div_ceil(per_task), |task| {
            let range = task * per_task..rows.min((task + 1) * per_task);
            for start in range.clone().step_by(BLOCK) {
                let block = start..range.end.min(start + BLOCK);
                let in_dx = block.start * n..block.end * n;
                let index = start / BLOCK;
                let in_parts = if wants.1 { index * 2 * n..(index + 1) * 2 * n } else { 0..0 };
                // SAFETY: the blocks of rows do not overlap, and the two are different slices.
                let (dx, sums) = unsafe {
                    (dx.map(|dx| dx.part(in_dx)).unwrap_or_default(), parts.part(in_parts))
                };
                dispatch!(for T, simd => match wants {
                    (true, true) => pass.rows::<_, true, true>(simd, block, dx, sums),
                    (true, false) => pass.rows::<_, true, false>(simd, block, dx, sums),
                    (false, true) => pass.rows::<_, false, true>(simd, block, dx, sums),
                    (false, false) => {}
                });
            }
        });
        if wants.1 {
            fold_columns(Sum, &Plain(partial), (1, blocks, 2 * n), sums);
            let (weight_sums, bias_sums) = sums.split_at(n);
            for (to, from) in [(d_weight, weight_sums), (d_bias, bias_sums)] {
                if let Some(to) = to {
                    to.copy_from_slice(from);
                }
            }
        }
    });
}

/// The inputs of the pass.
struct Pass<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    mean: &'a [T],
    rstd: &'a [T],
    d_out: &'a [T],
}

impl<T: Element> Pass<'_, T> {
    /// Processes a block of rows: their part of `dx`, and their sums `[2, n]` for the weight and
    /// the bias.
    #[inline(always)]
    fn rows<S: Simd, const DX: bool, const SUMS: bool>(
        &self,
        simd: S,
        rows: Range<usize>,
        dx: &mut [T],
        sums: &mut [T],
    ) {
        let n = self.weight.len();
        let zero = T::splat(simd, T::ZERO);
        let count = T::from_f64(n as f64);
        let first = rows.start;
        for row in rows {
            let terms = self.row(row);
            let (mut mean_g, mut mean_gh) = (zero, zero);
            if DX {
                let sum: T = fold_row(
                    simd,
                    Sum,
                    n,
                    #[inline(always)]
                    |group| terms.at(simd, group)[0],
                );
                mean_g = T::splat(simd, sum / count);
                let sum: T = fold_row(
                    simd,
                    Sum,
                    n,
                    #[inline(always)]
                    |group| {
                        let [g, h, _] = terms.at(simd, group);
                        g * h
                    },
                );
                mean_gh = T::splat(simd, sum / count);
            }
            let rstd = T::splat(simd, self.rstd[row]);
            for_each_group(
                0..n,
                #[inline(always)]
                |group| {
                    let [g, h, d_out] = terms.at(simd, group.clone());
                    if DX {
                        let at = (row - first) * n;
                        let to = &mut dx[at + group.start..at + group.end];
                        store_partial(rstd * (g - mean_g - h * mean_gh), to);
                    }
                    if SUMS {
                        let (weight, bias) = sums.split_at_mut(n);
                        let (weight, bias) = (&mut weight[group.clone()], &mut bias[group]);
                        let [mut old_weight, mut old_bias] = [zero; 2];
                        if row > first {
                            old_weight = load_partial(simd, weight, T::ZERO);
                            old_bias = load_partial(simd, bias, T::ZERO);
                        }
                        store_partial(d_out.mul_add(h, old_weight), weight);
                        store_partial(old_bias + d_out, bias);
                    }
                },
            );
        }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> Row<'_, T> {
        let n = self.weight.len();
        let (x, d_out) = (&self.x[row * n..][..n], &self.d_out[row * n..][..n]);
        Row { x, d_out, weight: self.weight, mean: self.mean[row], rstd: self.rstd[row] }
    }
}

/// One row.
struct Row<'a, T> {
    x: &'a [T],
    d_out: &'a [T],
    weight: &'a [T],
    mean: T,
    rstd: T,
}

impl<T: Element> Row<'_, T> {
    /// Returns a lane group of `g`, of `h` and of `d_out`; 0 beyond the row.
    #[inline(always)]
    fn at<S: Simd>(&self, simd: S, group: Range<usize>) -> [T::Lanes<S>; 3] {
        let d_out = load_partial(simd, &self.d_out[group.clone()], T::ZERO);
        let x = load_partial(simd, &self.x[group.clone()], self.mean);
        let h = standardised(x, T::splat(simd, self.mean), T::splat(simd, self.rstd));
        let weight = load_partial(simd, &self.weight[group], T::ZERO);
        [d_out * weight, h, d_out]
    }
}
