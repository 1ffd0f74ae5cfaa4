//! Reductions over the middle axis of `[outer, n, inner]`, as
//! [`Shape::around`](crate::Shape::around) splits a shape.
//!
//! The order of additions is a fixed tree that depends only on the shape, so any number of threads
//! gives the same bits. The error of a sum grows as `log n`. NaN propagates, also through the
//! maximum.

use super::broadcast::Broadcast;
use super::fold::{Fold, Max, Plain, Source, Sum};
use super::map::{Scale, Update, map_broadcast, update};
use super::tree::{CHUNK, fold_columns, fold_rows, for_each_strip};
use crate::extent::Extent;
use crate::parallel::for_each_chunk;
use crate::simd::{LANES, Simd};
use crate::{Element, Real, Shape, dispatch, load_partial, store_partial, with_scratch};

/// Sums over the middle axis of `x`, `[outer, n, inner]`, into `out`, `[outer, inner]`; 0 if `n` is
/// 0.
///
/// ```
/// use vdn_tensor::{Shape, kernels::sum_axis};
/// let x = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let mut sums = [0.0; 3];
/// sum_axis(&x, Shape::from([2, 3]).around(0).unwrap(), &mut sums);
/// assert_eq!(sums, [5.0, 7.0, 9.0]);
/// ```
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn sum_axis<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    T::sum_axis(x, around, out)
}

/// The body of [`sum_axis`].
pub(crate) fn sum_axis_body<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    check("sum_axis", x, around, out);
    fold_axis(Sum, x, around, out);
}

/// Computes the mean over the middle axis of `x`, `[outer, n, inner]`, into `out`,
/// `[outer, inner]`; NaN if `n` is 0.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn mean_axis<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    T::mean_axis(x, around, out)
}

/// The body of [`mean_axis`].
pub(crate) fn mean_axis_body<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    check("mean_axis", x, around, out);
    fold_axis(Sum, x, around, out);
    update(&DivideBy(around.1 as f64), [out], []);
}

/// Computes the maximum over the middle axis of `x`, `[outer, n, inner]`, into `out`,
/// `[outer, inner]`. The result is NaN if any of the numbers is NaN, and minus infinity if `n` is
/// 0.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn max_axis<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    T::max_axis(x, around, out)
}

/// The body of [`max_axis`].
pub(crate) fn max_axis_body<T: Element>(x: &[T], around: (usize, usize, usize), out: &mut [T]) {
    check("max_axis", x, around, out);
    fold_axis(Max, x, around, out);
}

/// Computes the adjoint of [`sum_axis`]: repeats `d_out`, `[outer, inner]`, along the middle axis
/// of `dx`, `[outer, n, inner]`.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn sum_axis_backward<T: Element>(d_out: &[T], around: (usize, usize, usize), dx: &mut [T]) {
    expand_axis(d_out, around, T::ONE, dx);
}

/// Computes the adjoint of [`mean_axis`]: repeats `d_out / n` along the middle axis of `dx`.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn mean_axis_backward<T: Element>(d_out: &[T], around: (usize, usize, usize), dx: &mut [T]) {
    expand_axis(d_out, around, T::from_f64(1.0 / around.1 as f64), dx);
}

/// Repeats `factor * x`, `[outer, inner]`, along the middle axis of `out`, `[outer, n, inner]`.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn expand_axis<T: Element>(x: &[T], around: (usize, usize, usize), factor: T, out: &mut [T]) {
    T::expand_axis(x, around, factor, out)
}

/// The body of [`expand_axis`].
pub(crate) fn expand_axis_body<T: Element>(
    x: &[T],
    around: (usize, usize, usize),
    factor: T,
    out: &mut [T],
) {
    check("expand_axis", out, around, x);
    let plan = along_axis(around, [false]);
    map_broadcast(&Scale(factor.to_f64()), &plan, [x], [out]);
}

/// Computes the adjoint of [`max_axis`]: `dx`, `[outer, n, inner]`, is `d_out` where `x` first
/// reaches its maximum `max` along the axis (the first of equal numbers, or the first NaN), and 0
/// elsewhere.
///
/// # Panics
/// Panics if a slice does not have the length given by `around`.
pub fn max_axis_backward<T: Element>(
    x: &[T],
    max: &[T],
    d_out: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    T::max_axis_backward(x, max, d_out, around, dx)
}

/// The body of [`max_axis_backward`].
pub(crate) fn max_axis_backward_body<T: Element>(
    x: &[T],
    max: &[T],
    d_out: &[T],
    around: (usize, usize, usize),
    dx: &mut [T],
) {
    check("max_axis_backward", x, around, max);
    let whole = check("max_axis_backward", dx, around, d_out);
    let (outer, n, inner) = around;
    if inner == 1 {
        let rows = (CHUNK / n.max(1)).max(1);
        return for_each_chunk(dx, rows * n.max(1), |chunk, dx| {
            dx.fill(T::ZERO);
            for (i, dx) in dx.chunks_exact_mut(n).enumerate() {
                let row = chunk * rows + i;
                // A row of NaN has only false comparisons: not less than the maximum means equal or
                // NaN.
                let is_max = |v: &T| *v == max[row] || v.partial_cmp(v).is_none();
                if let Some(first) = x[row * n..][..n].iter().position(is_max) {
                    dx[first] = d_out[row];
                }
            }
        });
    }
    let dx = whole.share("the gradient of the input", dx);
    for_each_strip((outer, n, inner), |o, columns| {
        for start in columns.clone().step_by(LANES) {
            let columns = start..columns.end.min(start + LANES);
            let at = o * inner + columns.start..o * inner + columns.end;
            dispatch!(for T, simd => max_columns(simd, n, &max[at.clone()], &d_out[at.clone()], #[inline(always)] |row| {
                let range = (o * n + row) * inner + columns.start..(o * n + row) * inner + columns.end;
                // SAFETY: different columns of different strips, and one row at a time.
                (&x[range.clone()], unsafe { dx.part(range) })
            }));
        }
    });
}

/// Does what [`max_axis_backward`] does for sixteen columns or fewer. `row(i)` is row `i` of the
/// input and of its gradient.
#[inline(always)]
fn max_columns<'a, S: Simd, T: Element>(
    simd: S,
    n: usize,
    max: &[T],
    d_out: &[T],
    row: impl Fn(usize) -> (&'a [T], &'a mut [T]),
) {
    let max = load_partial(simd, max, T::ZERO);
    let d_out = load_partial(simd, d_out, T::ZERO);
    let zero = T::splat(simd, T::ZERO);
    let mut open = T::splat(simd, T::ONE);
    for i in 0..n {
        let (x, dx) = row(i);
        let x = load_partial(simd, x, T::ZERO);
        let is_max = (x.le(max) & max.le(x)) | !x.le(x);
        let first = is_max & zero.lt(open);
        store_partial(T::Lanes::<S>::select(first, d_out, zero), dx);
        open = T::Lanes::<S>::select(first, zero, open);
    }
}

/// Returns the sum of all numbers.
#[must_use]
pub fn sum_all<T: Element>(x: &[T]) -> T {
    T::sum_all(x)
}

/// The body of [`sum_all`].
pub(crate) fn sum_all_body<T: Element>(x: &[T]) -> T {
    let extent = Extent::new("sum_all", [x.len()]);
    let mut sum = [T::ZERO];
    fold_rows(Sum, &Plain(x), extent.len(), &mut sum);
    sum[0]
}

/// Returns the sum of `a * b` over all elements.
///
/// ```
/// assert_eq!(vdn_tensor::kernels::dot(&[1.0_f32, 2.0], &[3.0, 4.0]), 11.0);
/// ```
///
/// # Panics
/// Panics if the slices differ in length.
#[must_use]
pub fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    T::dot(a, b)
}

/// The body of [`dot`].
pub(crate) fn dot_body<T: Element>(a: &[T], b: &[T]) -> T {
    Extent::new("dot", [a.len()]).check("the second slice", b);
    let mut sum = [T::ZERO];
    fold_rows(Sum, &Product(a, b), a.len(), &mut sum);
    sum[0]
}

/// The products of two arrays of the same shape.
pub(super) struct Product<'a, T>(pub(super) &'a [T], pub(super) &'a [T]);
impl<T: Element> Source<T> for Product<'_, T> {
    #[inline(always)]
    fn load<S: Simd>(
        &self,
        simd: S,
        _row: usize,
        range: std::ops::Range<usize>,
        _fill: T,
    ) -> T::Lanes<S> {
        // Missing lanes are 0 * 0, the identity of the sum.
        load_partial(simd, &self.0[range.clone()], T::ZERO)
            * load_partial(simd, &self.1[range], T::ZERO)
    }
}

/// Reduces the middle axis of any source.
pub(super) fn fold_source<T: Element>(
    source: &impl Source<T>,
    (outer, n, inner): (usize, usize, usize),
    out: &mut [T],
) {
    if inner == 1 {
        fold_rows(Sum, source, n, out);
    } else {
        fold_columns(Sum, source, (outer, n, inner), out);
    }
}

fn fold_axis<T: Element, F: Fold>(
    fold: F,
    x: &[T],
    (outer, n, inner): (usize, usize, usize),
    out: &mut [T],
) {
    if n == 1 {
        super::map::copy(x, out);
    } else if inner == 1 && n < LANES {
        fold_short(fold, x, (n, 1), out);
    } else if inner == 1 {
        fold_rows(fold, &Plain(x), n, out);
    } else if inner < LANES && n >= 2 * LANES && outer * n * inner > 0 {
        fold_narrow(fold, x, (outer, n, inner), out);
    } else {
        fold_columns(fold, &Plain(x), (outer, n, inner), out);
    }
}

/// Reduces few numbers per result, `[.., n, inner]` with short `n` and `inner`, one after the other
/// in order.
fn fold_short<T: Element, F: Fold>(_fold: F, x: &[T], (n, inner): (usize, usize), out: &mut [T]) {
    let rows = CHUNK / (n * inner).max(1);
    for_each_chunk(out, rows * inner, |chunk, out| {
        let x = &x[chunk * rows * n * inner..];
        for (i, out) in out.iter_mut().enumerate() {
            let first = i / inner * n * inner + i % inner;
            let column = x[first.min(x.len())..].iter().step_by(inner).take(n);
            *out = column.fold(T::from_f64(F::IDENTITY), |sum, &v| F::pair(sum, v));
        }
    });
}

/// Reduces rows shorter than a lane group. Sixteen rows are treated as one, so that lanes are full.
/// Their sixteen results per column are combined at the end, after the rows that are left over.
fn fold_narrow<T: Element, F: Fold>(
    fold: F,
    x: &[T],
    (outer, n, inner): (usize, usize, usize),
    out: &mut [T],
) {
    let (whole, left) = (n / LANES, n % LANES);
    let width = LANES * inner;
    // For each outer index: the sixteen partial results of each column, then the rows left over.
    let parts = LANES + left;
    with_scratch(outer * parts * inner, |partial: &mut [T]| {
        let group = (CHUNK / (n * inner)).max(1);
        for_each_chunk(partial, group * parts * inner, |chunk, partial| {
            let x = x[chunk * group * n * inner..].chunks_exact(n * inner);
            for (partial, x) in partial.chunks_exact_mut(parts * inner).zip(x) {
                let (sums, rest) = partial.split_at_mut(width);
                let (x, x_rest) = x.split_at(whole * width);
                fold_columns(fold, &Plain(x), (1, whole, width), sums);
                rest.copy_from_slice(x_rest);
            }
        });
        fold_short(fold, partial, (parts, inner), out);
    });
}

/// Creates the plan for inputs that are whole (`true`) or reduced (`false`) over the middle axis.
pub(super) fn along_axis<const IN: usize>(
    (outer, n, inner): (usize, usize, usize),
    whole: [bool; IN],
) -> Broadcast<IN> {
    let shape = Shape::from([outer, n, inner]);
    let reduced = Shape::from([outer, 1, inner]);
    let inputs = whole.map(|whole| if whole { &shape } else { &reduced });
    match Broadcast::to("along_axis", &shape, inputs) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}

/// Asserts that the slices have the lengths of `[outer, n, inner]` and `[outer, inner]`. Returns
/// the extent of the first.
pub(super) fn check<T>(
    operation: &'static str,
    x: &[T],
    (outer, n, inner): (usize, usize, usize),
    reduced: &[T],
) -> Extent<3> {
    let whole = Extent::new(operation, [outer, n, inner]);
    whole.check("the whole array", x);
    Extent::new(operation, [outer, inner]).check("the reduced array", reduced);
    whole
}

struct DivideBy(f64);
impl Update<1, 0> for DivideBy {
    #[inline(always)]
    fn apply<R: Real>(&self, [y]: [R; 1], _: [R; 0]) -> [R; 1] {
        [y / y.lit(self.0)]
    }
}
