//! The innermost loop of the matrix product: one tile of C in registers, one pass over a block of the inner dimension.
//!
//! A tile is `R` rows by `V` lane groups of sixteen columns. Each of its elements is one chain of `mul_add` over the
//! block, in order, starting at 0, so the shape of the tile does not enter the result. That is why every level can use
//! the shape that fills its registers (see `kernels/blocking.rs`).

use crate::element::{Element, load_partial, store_partial};
use crate::real::Real;
use crate::simd::{LANES, Simd};

/// The rows of A that a tile multiplies: row `r` at inner index `p` is `start[r * stride + p]`, or, where A is stored
/// as a panel or transposed, `start[p * stride + r]`.
#[derive(Clone, Copy)]
pub(super) struct RowsOfA<T> {
    pub(super) start: *const T,
    pub(super) stride: usize,
}

/// The columns of B that a tile multiplies: lane `l` of group `v` at inner index `p` is
/// `start[v * group_stride + p * stride + l]`.
#[derive(Clone, Copy)]
pub(super) struct ColumnsOfB<T> {
    pub(super) start: *const T,
    pub(super) stride: usize,
    pub(super) group_stride: usize,
}

/// What a row of a tile becomes: `products (+ c) (+ bias)`, added in this order.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a, T> {
    pub(super) add_c: bool,
    pub(super) bias: Option<&'a [T]>,
}

/// How many inner indices one turn of the loop takes.
const UNROLL: usize = 4;

/// The products of `R` rows of A with `V` lane groups of columns of B, summed over `depth` inner indices.
/// `PANEL` says which of the two ways of [`RowsOfA`] holds.
///
/// # Safety
/// All numbers that `a` and `b` name, for `R` rows, `V` groups and `depth` inner indices, lie in live memory.
#[inline(always)]
pub(super) unsafe fn products<
    S: Simd,
    T: Element,
    const PANEL: bool,
    const R: usize,
    const V: usize,
>(
    simd: S,
    depth: usize,
    a: RowsOfA<T>,
    b: ColumnsOfB<T>,
) -> [[T::Lanes<S>; V]; R] {
    let mut sum = [[T::splat(simd, T::ZERO); V]; R];
    let unrolled = depth - depth % UNROLL;
    let mut p = 0;
    while p < unrolled {
        for q in 0..UNROLL {
            // SAFETY: `p + q < depth`; the rest is the contract of the caller.
            unsafe { step::<S, T, PANEL, R, V>(simd, p + q, a, b, &mut sum) };
        }
        p += UNROLL;
    }
    while p < depth {
        // SAFETY: `p < depth`; the rest is the contract of the caller.
        unsafe { step::<S, T, PANEL, R, V>(simd, p, a, b, &mut sum) };
        p += 1;
    }
    sum
}

/// Adds the products at inner index `p`.
///
/// # Safety
/// As for [`products`], with `p < depth`.
#[inline(always)]
unsafe fn step<S: Simd, T: Element, const PANEL: bool, const R: usize, const V: usize>(
    simd: S,
    p: usize,
    a: RowsOfA<T>,
    b: ColumnsOfB<T>,
    sum: &mut [[T::Lanes<S>; V]; R],
) {
    let mut columns = [T::splat(simd, T::ZERO); V];
    for (v, lanes) in columns.iter_mut().enumerate() {
        let at = v * b.group_stride + p * b.stride;
        // SAFETY: sixteen numbers of B by the contract of the caller; an array is aligned like its elements.
        *lanes = T::load(simd, unsafe { &*b.start.add(at).cast::<[T; LANES]>() });
    }
    for (r, row) in sum.iter_mut().enumerate() {
        let at = if PANEL { p * a.stride + r } else { r * a.stride + p };
        // SAFETY: a number of A by the contract of the caller.
        let factor = T::splat(simd, unsafe { *a.start.add(at) });
        for (lanes, column) in row.iter_mut().zip(columns) {
            *lanes = factor.mul_add(column, *lanes);
        }
    }
}

/// Writes one row of a tile to `c`: `16 V` numbers, or fewer at the right edge.
#[inline(always)]
pub(super) fn finish_row<S: Simd, T: Element, const V: usize>(
    simd: S,
    products: [T::Lanes<S>; V],
    c: &mut [T],
    finish: Finish<'_, T>,
) {
    for (v, mut lanes) in products.into_iter().enumerate() {
        let c = &mut c[v * LANES..];
        if finish.add_c {
            lanes = lanes + load_partial(simd, c, T::ZERO);
        }
        if let Some(bias) = finish.bias {
            lanes = lanes + load_partial(simd, &bias[v * LANES..], T::ZERO);
        }
        store_partial(lanes, c);
    }
}
