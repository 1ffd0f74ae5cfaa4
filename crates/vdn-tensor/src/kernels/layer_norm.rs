//! Layer normalisation over the last axis (Ba, Kiros and Hinton, "Layer Normalization", 2016). Its
//! adjoint is in `layer_norm_backward.rs`.
//!
//! The textbook formula `variance = mean x^2 - mean^2` loses all digits if the mean is large
//! compared with the deviation. Here each row takes two passes: the mean, then the mean square of
//! the deviations from it. Rows whose squares leave the range of `f32` (very small or very large
//! numbers) take a slow path in double precision.

use super::fold::Sum;
use super::tree::{CHUNK, fold_row, for_each_group};
use crate::extent::Extent;
use crate::parallel::for_each;
use crate::simd::Simd;
use crate::{Element, Mask, Real, dispatch, load_partial, store_partial};

/// Computes `out = (x - mean) * rstd * weight + bias` with `rstd = 1 / sqrt(variance + eps)`. Mean
/// and (biased) variance are taken over each row of `x`, `[rows, n]`; `weight` and `bias` are
/// `[n]`.
///
/// `mean` and `rstd`, `[rows]`, are results that the backward pass needs. The variance is computed
/// from the deviations from the mean (two passes), so it does not cancel.
///
/// # Panics
/// Panics if the lengths do not match.
pub fn layer_norm<T: Element>(
    x: &[T],
    weight: &[T],
    bias: &[T],
    eps: f64,
    out: &mut [T],
    mean: &mut [T],
    rstd: &mut [T],
) {
    T::layer_norm(x, weight, bias, eps, out, mean, rstd)
}

/// The body of [`layer_norm`].
pub(crate) fn layer_norm_body<T: Element>(
    x: &[T],
    weight: &[T],
    bias: &[T],
    eps: f64,
    out: &mut [T],
    mean: &mut [T],
    rstd: &mut [T],
) {
    let [rows, n] = [mean.len(), weight.len()];
    let [all, row, column] = extents("layer_norm", [rows, n]);
    all.check("the input", x);
    row.check("the bias", bias);
    let per_task = rows_per_task(n);
    let out = all.share("the output", out);
    let (mean, rstd) = (column.share("mean", mean), column.share("rstd", rstd));
    for_each(rows.div_ceil(per_task), |task| {
        let range = task * per_task..rows.min((task + 1) * per_task);
        // SAFETY: the rows of different tasks do not overlap, and the outputs are different slices.
        let (out, mean, rstd) = unsafe {
            (
                out.part(range.start * n..range.end * n),
                mean.part(range.clone()),
                rstd.part(range.clone()),
            )
        };
        dispatch!(for T, simd => {
            statistics(simd, &x[range.start * n..range.end * n], n, eps, mean, rstd);
            normalise(simd, &x[range.start * n..range.end * n], (weight, bias), (mean, rstd), out);
        });
    });
}

/// Returns the extents of the input, of a row and of a column.
pub(super) fn extents(operation: &'static str, [rows, n]: [usize; 2]) -> [Extent<2>; 3] {
    [[rows, n], [1, n], [rows, 1]].map(|dims| Extent::new(operation, dims))
}

pub(super) fn rows_per_task(n: usize) -> usize {
    (CHUNK / n.max(1)).max(1)
}

#[inline(always)]
fn statistics<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    n: usize,
    eps: f64,
    mean: &mut [T],
    rstd: &mut [T],
) {
    let count = T::from_f64(n as f64);
    for (row, (mean, rstd)) in mean.iter_mut().zip(rstd).enumerate() {
        let x = &x[row * n..][..n];
        *mean = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| load_partial(simd, &x[group], T::ZERO),
        );
        *mean /= count;
        let (fill, center) = (*mean, T::splat(simd, *mean));
        let squares: T = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| {
                let deviation = load_partial(simd, &x[group], fill) - center;
                deviation * deviation
            },
        );
        let variance = (squares / count).to_f64();
        *rstd = T::from_f64(1.0 / (variance + eps).sqrt());
        if !(variance + eps > SMALLEST && variance < f64::INFINITY) {
            (*mean, *rstd) = far_statistics(x, eps);
        }
    }
}

/// The smallest sum of variance and `eps` that keeps its digits in `f32`.
const SMALLEST: f64 = 1e-30;

/// Returns mean and inverse deviation of a row whose squares exceed the range of numbers. They are
/// computed relative to its largest number, in double precision. For equal numbers without `eps`
/// the inverse deviation is 0, so that only the bias remains.
#[cold]
#[inline(never)]
fn far_statistics<T: Element>(x: &[T], eps: f64) -> (T, T) {
    let largest = x.iter().map(|x| x.to_f64().abs()).fold(0.0, f64::max);
    // `f64::max` drops a NaN, so NaN is checked separately.
    let sound = x.iter().all(|x| x.is_finite()) && eps >= 0.0 && !x.is_empty();
    if !sound {
        return (T::from_f64(f64::NAN), T::from_f64(f64::NAN));
    }
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let mean_of = |f: &dyn Fn(f64) -> f64| {
        x.iter().map(|x| f(x.to_f64() / scale)).sum::<f64>() / x.len() as f64
    };
    let mean = mean_of(&|x| x);
    let variance = mean_of(&|x| (x - mean) * (x - mean)) + eps / scale / scale;
    let rstd = if variance > 0.0 { 1.0 / variance.sqrt() / scale } else { 0.0 };
    (T::from_f64(mean * scale), T::from_f64(rstd))
}

/// Returns `(x - mean) rstd`, even if the difference overflows.
#[inline(always)]
pub(super) fn standardised<R: Real>(x: R, mean: R, rstd: R) -> R {
    let deviation = x - mean;
    let (plain, fits) = (deviation * rstd, deviation.abs().lt(x.lit(f64::INFINITY)));
    if fits.all() {
        return plain;
    }
    R::select(fits, plain, x * rstd - mean * rstd)
}

#[inline(always)]
fn normalise<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    (weight, bias): (&[T], &[T]),
    (mean, rstd): (&[T], &[T]),
    out: &mut [T],
) {
    let n = weight.len();
    for (row, (&mean, &rstd)) in mean.iter().zip(rstd).enumerate() {
        let (x, out) = (&x[row * n..][..n], &mut out[row * n..][..n]);
        let (mean, rstd) = (T::splat(simd, mean), T::splat(simd, rstd));
        for_each_group(
            0..n,
            #[inline(always)]
            |group| {
                let h = standardised(load_partial(simd, &x[group.clone()], T::ZERO), mean, rstd);
                let weight = load_partial(simd, &weight[group.clone()], T::ZERO);
                let bias = load_partial(simd, &bias[group.clone()], T::ZERO);
                store_partial(h.mul_add(weight, bias), &mut out[group]);
            },
        );
    }
}
