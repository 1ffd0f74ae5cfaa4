//! Layer normalisation over the last axis (Ba, Kiros and Hinton, "Layer Normalization", 2016) and its adjoints.

use super::fold::{Source, Sum};
use super::tree::{CHUNK, fold_columns, fold_row, for_each_group};
use crate::parallel::{SharedMut, for_each, for_each_chunk};
use crate::simd::Simd;
use crate::{Element, Real, dispatch, load_partial, store_partial};
use std::ops::Range;

/// `out = (x - mean) * rstd * weight + bias` with `rstd = 1 / sqrt(variance + eps)`, mean and (biased) variance taken
/// over each row of `x`, `[rows, n]`; `weight` and `bias` are `[n]`. `mean` and `rstd`, `[rows]`, are results that the
/// backward pass needs. The variance is taken of the deviations from the mean (two passes), so it does not cancel.
///
/// # Panics
/// The lengths do not fit together.
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
    let n = check("layer_norm", x.len(), weight.len(), (mean.len(), rstd.len()));
    assert_eq!(bias.len(), n, "layer_norm: lengths of bias and weight");
    assert_eq!(out.len(), x.len(), "layer_norm: lengths of the output and of the input");
    let (rows, per_task) = (mean.len(), rows_per_task(n));
    let (out, mean, rstd) = (SharedMut::new(out), SharedMut::new(mean), SharedMut::new(rstd));
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

/// The gradient of [`layer_norm`] with respect to `x`, from the gradient `d_out` of its output and the saved `mean` and
/// `rstd`: with `g = d_out * weight` and `h = (x - mean) * rstd`, `dx = rstd * (g - mean of g - h * mean of g h)`.
///
/// # Panics
/// The lengths do not fit together.
pub fn layer_norm_backward_input<T: Element>(
    x: &[T],
    weight: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    dx: &mut [T],
) {
    T::layer_norm_backward_input(x, weight, mean, rstd, d_out, dx)
}

/// The body of [`layer_norm_backward_input`].
pub(crate) fn layer_norm_backward_input_body<T: Element>(
    x: &[T],
    weight: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    dx: &mut [T],
) {
    let n = check("layer_norm_backward_input", x.len(), weight.len(), (mean.len(), rstd.len()));
    let lengths = (d_out.len(), dx.len());
    assert_eq!(lengths, (x.len(), x.len()), "layer_norm_backward_input: lengths of the gradients");
    let per_task = rows_per_task(n);
    for_each_chunk(dx, per_task * n.max(1), |task, dx| {
        let first = task * per_task;
        dispatch!(for T, simd => input_rows(simd, (x, d_out), weight, (mean, rstd), first, dx));
    });
}

/// The gradient of [`layer_norm`] with respect to its weight: the sum of `d_out * (x - mean) * rstd` over the rows, a
/// fixed tree. That with respect to its bias is the sum of `d_out` over the rows,
/// [`sum_axis`](super::sum_axis)`(d_out, (1, rows, n), d_bias)`.
///
/// # Panics
/// The lengths do not fit together.
pub fn layer_norm_backward_weight<T: Element>(
    x: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    d_weight: &mut [T],
) {
    T::layer_norm_backward_weight(x, mean, rstd, d_out, d_weight)
}

/// The body of [`layer_norm_backward_weight`].
pub(crate) fn layer_norm_backward_weight_body<T: Element>(
    x: &[T],
    mean: &[T],
    rstd: &[T],
    d_out: &[T],
    d_weight: &mut [T],
) {
    let n = check("layer_norm_backward_weight", x.len(), d_weight.len(), (mean.len(), rstd.len()));
    assert_eq!(
        d_out.len(),
        x.len(),
        "layer_norm_backward_weight: lengths of the gradient and of the input"
    );
    fold_columns(Sum, &WeightTerms { x, mean, rstd, d_out }, (1, mean.len(), n), d_weight);
}

fn check(operation: &str, x: usize, n: usize, (mean, rstd): (usize, usize)) -> usize {
    assert!(
        mean == rstd && x == mean * n,
        "{operation}: {x} numbers in rows of {n}, {mean} means, {rstd} inverse deviations"
    );
    n
}

fn rows_per_task(n: usize) -> usize {
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
    }
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
                let h = (load_partial(simd, &x[group.clone()], T::ZERO) - mean) * rstd;
                let weight = load_partial(simd, &weight[group.clone()], T::ZERO);
                let bias = load_partial(simd, &bias[group.clone()], T::ZERO);
                store_partial(h.mul_add(weight, bias), &mut out[group]);
            },
        );
    }
}

#[inline(always)]
fn input_rows<S: Simd, T: Element>(
    simd: S,
    (x, d_out): (&[T], &[T]),
    weight: &[T],
    (mean, rstd): (&[T], &[T]),
    first: usize,
    dx: &mut [T],
) {
    let n = weight.len();
    let count = T::from_f64(n as f64);
    for (i, dx) in dx.chunks_exact_mut(n).enumerate() {
        let row = first + i;
        let (x, d_out) = (&x[row * n..][..n], &d_out[row * n..][..n]);
        let terms = RowTerms { x, d_out, weight, mean: mean[row], rstd: rstd[row] };
        let sum_g: T = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| terms.at(simd, group)[0],
        );
        let sum_gh: T = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| {
                let [g, h] = terms.at(simd, group);
                g * h
            },
        );
        let (mean_g, mean_gh) = (T::splat(simd, sum_g / count), T::splat(simd, sum_gh / count));
        let rstd = T::splat(simd, rstd[row]);
        for_each_group(
            0..n,
            #[inline(always)]
            |group| {
                let [g, h] = terms.at(simd, group.clone());
                store_partial(rstd * (g - mean_g - h * mean_gh), &mut dx[group]);
            },
        );
    }
}

/// One row of [`layer_norm_backward_input`].
struct RowTerms<'a, T> {
    x: &'a [T],
    d_out: &'a [T],
    weight: &'a [T],
    mean: T,
    rstd: T,
}

impl<T: Element> RowTerms<'_, T> {
    /// The lane group of `g` and of `h`; 0 beyond the row.
    #[inline(always)]
    fn at<S: Simd>(&self, simd: S, group: Range<usize>) -> [T::Lanes<S>; 2] {
        let d_out = load_partial(simd, &self.d_out[group.clone()], T::ZERO);
        let deviation =
            load_partial(simd, &self.x[group.clone()], self.mean) - T::splat(simd, self.mean);
        let weight = load_partial(simd, &self.weight[group], T::ZERO);
        [d_out * weight, deviation * T::splat(simd, self.rstd)]
    }
}

/// `d_out * (x - mean) * rstd`, whose sum over rows is the gradient of the weight.
struct WeightTerms<'a, T> {
    x: &'a [T],
    mean: &'a [T],
    rstd: &'a [T],
    d_out: &'a [T],
}

impl<T: Element> Source<T> for WeightTerms<'_, T> {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, row: usize, range: Range<usize>, _fill: T) -> T::Lanes<S> {
        let (mean, rstd) = (T::splat(simd, self.mean[row]), T::splat(simd, self.rstd[row]));
        let x = load_partial(simd, &self.x[range.clone()], T::ZERO);
        load_partial(simd, &self.d_out[range], T::ZERO) * ((x - mean) * rstd)
    }
}
