//! Softmax and logsumexp over the middle axis of `[outer, n, inner]`, with their adjoints.
//!
//! The maximum is subtracted first, so nothing overflows. An infinite maximum is not subtracted.
//! The logsumexp of numbers that are all minus infinity is minus infinity; with one plus infinity
//! it is plus infinity. The softmax of such numbers has no value and is NaN. Sums use the fixed
//! trees of all reductions.

use super::fold::{Max, Sum};
use super::map::{Formula, map_broadcast};
use super::reduce::{Product, along_axis, check, fold_source, max_axis};
use super::tree::{CHUNK, fold_column, fold_row, for_each_group, for_each_strip};
use crate::extent::Extent;
use crate::parallel::for_each_chunk;
use crate::simd::Simd;
use crate::{Element, Real, dispatch, load_partial, store_partial, with_scratch};
use std::ops::Range;

/// Computes `out = exp(x) / sum exp(x)`, with the sum over the middle axis. `x` and `out` are
/// `[outer, n, inner]`.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn softmax<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    T::softmax(x, around, out)
}

/// The body of [`softmax`].
pub(crate) fn softmax_body<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    let (outer, n, inner) = around;
    let whole = Extent::new("softmax", [outer, n, inner]);
    whole.check("the input", x);
    let shared = whole.share("the output", &mut *out);
    if n == 0 {
        return;
    }
    if inner == 1 {
        // Rows longer than a task are rare here, so a task has at least one row.
        let rows = (CHUNK / n).max(1);
        return for_each_chunk(out, rows * n, |chunk, out| {
            let x = &x[chunk * rows * n..][..out.len()];
            dispatch!(for T, simd => softmax_rows(simd, x, n, out));
        });
    }
    for_each_strip(around, |o, columns| {
        dispatch!(for T, simd => softmax_columns(simd, x, (o, n, inner), columns, #[inline(always)] |range| {
            // SAFETY: strips are disjoint, and within one the kernel lets go of a part before it
            // takes the next.
            unsafe { shared.part(range) }
        }));
    });
}

/// Computes the adjoint of [`softmax`]: `dx = y * (dy - sum y dy)` from the result `y` and its
/// gradient `dy`.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn softmax_backward<T: Element>(
    y: &[T],
    dy: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    T::softmax_backward(y, dy, around, dx)
}

/// The body of [`softmax_backward`].
pub(crate) fn softmax_backward_body<T: Element>(
    y: &[T],
    dy: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    let (outer, n, inner) = around;
    let whole = Extent::new("softmax_backward", [outer, n, inner]);
    whole.check("the result", y);
    whole.check("its gradient", dy);
    whole.check("the gradient of the input", dx);
    if n == 0 {
        return;
    }
    with_scratch(outer * inner, |sums: &mut [T]| {
        fold_source(&Product(y, dy), around, sums);
        let plan = along_axis(around, [true, true, false]);
        map_broadcast(&SoftmaxSlope, &plan, [y, dy, sums], [dx]);
    });
}

/// Computes `out = ln sum exp(x)`, with the sum over the middle axis of `x`, `[outer, n, inner]`.
/// `out` is `[outer, inner]`, and is minus infinity if `n` is 0.
///
/// ```
/// let mut out = [0.0_f64];
/// vdn_tensor::kernels::logsumexp(&[1000.0, 1000.0], (1, 2, 1), &mut out);
/// assert!((out[0] - (1000.0 + 2f64.ln())).abs() < 1e-12);
/// ```
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn logsumexp<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    T::logsumexp(x, around, out)
}

/// The body of [`logsumexp`].
pub(crate) fn logsumexp_body<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    check("logsumexp", x, around, out);
    let (outer, n, inner) = around;
    if inner == 1 {
        let rows = (CHUNK / n.max(1)).max(1);
        return for_each_chunk(out, rows, |chunk, out| {
            let x = &x[chunk * rows * n..][..out.len() * n];
            dispatch!(for T, simd => logsumexp_rows(simd, x, n, out));
        });
    }
    let out = Extent::new("logsumexp", [outer, inner]).share("the output", out);
    for_each_strip(around, |o, columns| {
        // SAFETY: strips are disjoint, so their columns of row `o` of the output are.
        let out = unsafe { out.part(o * inner + columns.start..o * inner + columns.end) };
        dispatch!(for T, simd => logsumexp_columns(simd, x, (o, n, inner), columns, out));
    });
}

/// Computes the adjoint of [`logsumexp`]: `dx = d_out * exp(x - y)` from the input `x`, the result
/// `y`, `[outer, inner]`, and its gradient `d_out`; 0 where `x` is minus infinity. For `|y| > 16`
/// the rounding of `y` would become an error of the exponent, so `y` is recomputed as the sum of a
/// maximum and a rest.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn logsumexp_backward<T: Element>(
    x: &[T],
    y: &[T],
    d_out: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    T::logsumexp_backward(x, y, d_out, around, dx)
}

/// The body of [`logsumexp_backward`].
pub(crate) fn logsumexp_backward_body<T: Element>(
    x: &[T],
    y: &[T],
    d_out: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    check("logsumexp_backward", x, around, y);
    check("logsumexp_backward", dx, around, d_out);
    let plan = along_axis(around, [true, false, false]);
    if y.iter().all(|y| !is_far(*y)) {
        return map_broadcast(&LogSumExpSlope, &plan, [x, y, d_out], [dx]);
    }
    // The rounding of a large `y` is an error of the exponent. Such a `y` is recomputed as the
    // maximum and, separately, the logsumexp of the differences from it.
    with_scratch(2 * y.len(), |parts: &mut [T]| {
        let (shift, rest) = parts.split_at_mut(y.len());
        max_axis(x, around, shift);
        map_broadcast(&Difference, &along_axis(around, [true, false]), [x, shift], [&mut *dx]);
        logsumexp(dx, around, rest);
        for ((shift, rest), y) in shift.iter_mut().zip(&mut *rest).zip(y) {
            if !is_far(*y) {
                (*shift, *rest) = (*y, T::ZERO);
            }
        }
        let plan = along_axis(around, [true, false, false, false]);
        map_broadcast(&FarSlope, &plan, [x, shift, rest, d_out], [dx]);
    });
}

/// Returns whether the rounding of a result exceeds a few roundings of its exponential.
fn is_far<T: Element>(y: T) -> bool {
    y.is_finite() && y.to_f64().abs() > FAR
}
const FAR: f64 = 16.0;

struct SoftmaxSlope;
impl Formula<3, 1> for SoftmaxSlope {
    #[inline(always)]
    fn apply<R: Real>(&self, [y, dy, sum]: [R; 3]) -> [R; 1] {
        [y * (dy - sum)]
    }
}

struct LogSumExpSlope;
impl Formula<3, 1> for LogSumExpSlope {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, y, d]: [R; 3]) -> [R; 1] {
        [d * (x - finite_or_zero(y)).exp()]
    }
}

struct Difference;
impl Formula<2, 1> for Difference {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, shift]: [R; 2]) -> [R; 1] {
        [x - finite_or_zero(shift)]
    }
}

/// The [`LogSumExpSlope`] with `y` as the sum of `shift` and `rest`.
struct FarSlope;
impl Formula<4, 1> for FarSlope {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, shift, rest, d]: [R; 4]) -> [R; 1] {
        [d * ((x - finite_or_zero(shift)) - rest).exp()]
    }
}

/// Returns the number that is subtracted before `exp`: the maximum, or 0 if it is infinite. (A NaN
/// is also in the numbers themselves.)
#[inline(always)]
fn finite_or_zero<R: Real>(max: R) -> R {
    R::select(max.abs().lt(max.lit(f64::INFINITY)), max, max.lit(0.0))
}

#[inline(always)]
fn row_shift<S: Simd, T: Element>(simd: S, x: &[T]) -> T::Lanes<S> {
    let lowest = T::from_f64(f64::NEG_INFINITY);
    let max = fold_row(
        simd,
        Max,
        x.len(),
        #[inline(always)]
        |group| load_partial(simd, &x[group], lowest),
    );
    finite_or_zero(T::splat(simd, max))
}

#[inline(always)]
fn softmax_rows<S: Simd, T: Element>(simd: S, x: &[T], n: usize, out: &mut [T]) {
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        let shift = row_shift(simd, x);
        for_each_group(
            0..n,
            #[inline(always)]
            |group| {
                let x = load_partial(simd, &x[group.clone()], T::ZERO);
                store_partial((x - shift).exp(), &mut out[group]);
            },
        );
        let sum: T = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| load_partial(simd, &out[group], T::ZERO),
        );
        let sum = T::splat(simd, sum);
        for_each_group(
            0..n,
            #[inline(always)]
            |group| {
                let out = &mut out[group];
                store_partial(load_partial(simd, out, T::ZERO) / sum, out);
            },
        );
    }
}

#[inline(always)]
fn logsumexp_rows<S: Simd, T: Element>(simd: S, x: &[T], n: usize, out: &mut [T]) {
    let lowest = T::from_f64(f64::NEG_INFINITY);
    for (i, out) in out.iter_mut().enumerate() {
        let x = &x[i * n..][..n];
        let shift = row_shift(simd, x);
        let sum = fold_row(
            simd,
            Sum,
            n,
            #[inline(always)]
            |group| (load_partial(simd, &x[group], lowest) - shift).exp(),
        );
        store_partial(T::splat(simd, sum).ln() + shift, std::slice::from_mut(out));
    }
}

/// Returns the position of a lane group's columns in row `i` of `[outer, n, inner]`.
#[inline(always)]
fn place((o, n, inner): (usize, usize, usize), i: usize, columns: &Range<usize>) -> Range<usize> {
    let row = (o * n + i) * inner;
    row + columns.start..row + columns.end
}

#[inline(always)]
fn column_shift<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    at: (usize, usize, usize),
    columns: &Range<usize>,
) -> T::Lanes<S> {
    let lowest = T::splat(simd, T::from_f64(f64::NEG_INFINITY));
    let [max] = fold_column(
        Max,
        lowest,
        at.1,
        #[inline(always)]
        |i| [load_partial(simd, &x[place(at, i, columns)], T::ZERO)],
    );
    finite_or_zero(max)
}

/// Computes the softmax of some columns; `part(range)` is the part of the result at `range`.
#[inline(always)]
fn softmax_columns<'a, S: Simd, T: Element>(
    simd: S,
    x: &[T],
    at: (usize, usize, usize),
    strip: Range<usize>,
    part: impl Fn(Range<usize>) -> &'a mut [T],
) {
    let zero = T::splat(simd, T::ZERO);
    for_each_group(
        strip,
        #[inline(always)]
        |columns| {
            let shift = column_shift(simd, x, at, &columns);
            for i in 0..at.1 {
                let x = load_partial(simd, &x[place(at, i, &columns)], T::ZERO);
                store_partial((x - shift).exp(), part(place(at, i, &columns)));
            }
            let [sum] = fold_column(
                Sum,
                zero,
                at.1,
                #[inline(always)]
                |i| [load_partial(simd, part(place(at, i, &columns)), T::ZERO)],
            );
            for i in 0..at.1 {
                let out = part(place(at, i, &columns));
                store_partial(load_partial(simd, out, T::ZERO) / sum, out);
            }
        },
    );
}

#[inline(always)]
fn logsumexp_columns<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    at: (usize, usize, usize),
    strip: Range<usize>,
    out: &mut [T],
) {
    let zero = T::splat(simd, T::ZERO);
    let first = strip.start;
    for_each_group(
        strip,
        #[inline(always)]
        |columns| {
            let shift = column_shift(simd, x, at, &columns);
            let [sum] = fold_column(
                Sum,
                zero,
                at.1,
                #[inline(always)]
                |i| [(load_partial(simd, &x[place(at, i, &columns)], T::ZERO) - shift).exp()],
            );
            store_partial(sum.ln() + shift, &mut out[columns.start - first..columns.end - first]);
        },
    );
}
