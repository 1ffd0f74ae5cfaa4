//! The innermost loop of the matrix product: one tile of C in registers, one pass over a block of the inner dimension.
//!
//! A tile is `R` rows by `V` lane groups of sixteen columns. Each of its elements is one chain of `mul_add` over the
//! block, in order, starting at 0, so the shape of the tile does not enter the result. That is why every level can use
//! the shape that fills its registers (see `kernels/blocking.rs`).

use crate::element::{Element, load_partial, store_partial};
use crate::real::Real;
use crate::simd::{LANES, Lanes, Simd};
use wide::f64x2;

/// A number that tiles are made of. `f32` are the lanes of the level.
///
/// The lanes of `f64` are calls (see `simd/double.rs`), which is no way to write an inner loop. So `f64` tiles are pairs in
/// 128-bit vectors on every level, multiplied and added with two roundings on all of them: the same result everywhere.
pub(super) trait Number: Element {
    /// Sixteen numbers.
    type Group<S: Simd>: Copy;
    fn group_splat<S: Simd>(simd: S, x: Self) -> Self::Group<S>;
    fn group_load<S: Simd>(simd: S, x: &[Self; LANES]) -> Self::Group<S>;
    fn group_store<S: Simd>(group: Self::Group<S>, to: &mut [Self; LANES]);
    /// `x * y + z`.
    fn group_mul_add<S: Simd>(
        x: Self,
        y: Self::Group<S>,
        z: Self::Group<S>,
        simd: S,
    ) -> Self::Group<S>;
}

impl Number for f32 {
    type Group<S: Simd> = S::F32;
    #[inline(always)]
    fn group_splat<S: Simd>(simd: S, x: f32) -> S::F32 {
        simd.splat(x)
    }
    #[inline(always)]
    fn group_load<S: Simd>(simd: S, x: &[f32; LANES]) -> S::F32 {
        simd.load(x)
    }
    #[inline(always)]
    fn group_store<S: Simd>(group: S::F32, to: &mut [f32; LANES]) {
        group.store(to);
    }
    #[inline(always)]
    fn group_mul_add<S: Simd>(x: f32, y: S::F32, z: S::F32, simd: S) -> S::F32 {
        simd.splat(x).mul_add(y, z)
    }
}

impl Number for f64 {
    type Group<S: Simd> = [f64x2; LANES / 2];
    #[inline(always)]
    fn group_splat<S: Simd>(_simd: S, x: f64) -> [f64x2; LANES / 2] {
        [f64x2::splat(x); LANES / 2]
    }
    #[inline(always)]
    fn group_load<S: Simd>(_simd: S, x: &[f64; LANES]) -> [f64x2; LANES / 2] {
        bytemuck::cast(*x)
    }
    #[inline(always)]
    fn group_store<S: Simd>(group: [f64x2; LANES / 2], to: &mut [f64; LANES]) {
        *to = bytemuck::cast(group);
    }
    #[inline(always)]
    fn group_mul_add<S: Simd>(
        x: f64,
        y: [f64x2; LANES / 2],
        mut z: [f64x2; LANES / 2],
        _simd: S,
    ) -> [f64x2; LANES / 2] {
        let x = f64x2::splat(x);
        for (z, y) in z.iter_mut().zip(&y) {
            *z = x * *y + *z;
        }
        z
    }
}

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
    T: Number,
    const PANEL: bool,
    const R: usize,
    const V: usize,
>(
    simd: S,
    depth: usize,
    a: RowsOfA<T>,
    b: ColumnsOfB<T>,
) -> [[T::Group<S>; V]; R] {
    let mut sum = [[T::group_splat(simd, T::ZERO); V]; R];
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
unsafe fn step<S: Simd, T: Number, const PANEL: bool, const R: usize, const V: usize>(
    simd: S,
    p: usize,
    a: RowsOfA<T>,
    b: ColumnsOfB<T>,
    sum: &mut [[T::Group<S>; V]; R],
) {
    let mut columns = [T::group_splat(simd, T::ZERO); V];
    for (v, lanes) in columns.iter_mut().enumerate() {
        let at = v * b.group_stride + p * b.stride;
        // SAFETY: sixteen numbers of B by the contract of the caller; an array is aligned like its elements.
        *lanes = T::group_load(simd, unsafe { &*b.start.add(at).cast::<[T; LANES]>() });
    }
    for (r, row) in sum.iter_mut().enumerate() {
        let at = if PANEL { p * a.stride + r } else { r * a.stride + p };
        // SAFETY: a number of A by the contract of the caller.
        let factor = unsafe { *a.start.add(at) };
        for (lanes, column) in row.iter_mut().zip(columns) {
            *lanes = T::group_mul_add(factor, column, *lanes, simd);
        }
    }
}

/// Writes one row of a tile to `c`: `16 V` numbers, or fewer at the right edge.
#[inline(always)]
pub(super) fn finish_row<S: Simd, T: Number, const V: usize>(
    simd: S,
    products: [T::Group<S>; V],
    c: &mut [T],
    finish: Finish<'_, T>,
) {
    for (v, group) in products.into_iter().enumerate() {
        let mut sum = [T::ZERO; LANES];
        T::group_store(group, &mut sum);
        let mut lanes = T::load(simd, &sum);
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
