//! The innermost loop of the matrix product: one tile of C in registers, one pass over a block of
//! the inner dimension.
//!
//! A tile is `R` rows by `V` lane groups of sixteen columns. Each of its elements is one chain of
//! `mul_add` over the block, in order, starting at 0, so the shape of the tile does not affect the
//! result. Every level can therefore use the shape that fills its registers (see
//! `kernels/blocking.rs`).

use crate::element::Element;
use crate::parallel::SharedMut;
use crate::real::Real;
use crate::simd::{F64Vectors, LANES, Lanes, Simd};

/// A number type of tiles. For `f32` a group is the lanes of the level.
///
/// The lanes of `f64` are calls (see `simd/double.rs`), which are too slow for an inner loop. `f64`
/// tiles therefore use the vectors of the level.
pub(super) trait Number: Element {
    /// Sixteen numbers.
    type Group<S: Simd>: Copy;
    fn group_splat<S: Simd>(simd: S, x: Self) -> Self::Group<S>;
    fn group_load<S: Simd>(simd: S, x: &[Self; LANES]) -> Self::Group<S>;
    fn group_store<S: Simd>(group: Self::Group<S>, to: &mut [Self; LANES]);
    fn group_add<S: Simd>(x: Self::Group<S>, y: Self::Group<S>, simd: S) -> Self::Group<S>;
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
    fn group_add<S: Simd>(x: S::F32, y: S::F32, _simd: S) -> S::F32 {
        x + y
    }
    #[inline(always)]
    fn group_mul_add<S: Simd>(x: f32, y: S::F32, z: S::F32, simd: S) -> S::F32 {
        simd.splat(x).mul_add(y, z)
    }
}

impl Number for f64 {
    type Group<S: Simd> = S::F64;
    #[inline(always)]
    fn group_splat<S: Simd>(simd: S, x: f64) -> S::F64 {
        simd.splat_f64(x)
    }
    #[inline(always)]
    fn group_load<S: Simd>(simd: S, x: &[f64; LANES]) -> S::F64 {
        simd.load_f64(x)
    }
    #[inline(always)]
    fn group_store<S: Simd>(group: S::F64, to: &mut [f64; LANES]) {
        group.store(to);
    }
    #[inline(always)]
    fn group_add<S: Simd>(x: S::F64, y: S::F64, _simd: S) -> S::F64 {
        x + y
    }
    #[inline(always)]
    fn group_mul_add<S: Simd>(x: f64, y: S::F64, z: S::F64, simd: S) -> S::F64 {
        simd.splat_f64(x).mul_add(y, z)
    }
}

/// The rows of A that a tile multiplies. Row `r` at inner index `p` is `start[r * stride + p]` or,
/// if A is stored as a panel or transposed, `start[p * stride + r]`.
#[derive(Clone, Copy)]
pub(super) struct RowsOfA<T> {
    pub(super) start: *const T,
    pub(super) stride: usize,
}

/// The columns of B that a tile multiplies. Lane `l` of group `v` at inner index `p` is
/// `start[v * group_stride + p * stride + l]`.
#[derive(Clone, Copy)]
pub(super) struct ColumnsOfB<T> {
    pub(super) start: *const T,
    pub(super) stride: usize,
    pub(super) group_stride: usize,
}

/// Returns the number of inner indices in one turn of the loop. It is one if a tile fills the
/// registers: otherwise the compiler would load for the next index before it has finished this one,
/// and move parts of the tile to the stack and back.
const fn unroll(rows: usize) -> usize {
    if rows >= 8 { 1 } else { 4 }
}

/// Returns the products of `R` rows of A with `V` lane groups of columns of B, summed over `depth`
/// inner indices. `PANEL` selects one of the two forms of [`RowsOfA`].
///
/// # Safety
/// All numbers that `a` and `b` name, for `R` rows, `V` groups and `depth` inner indices, lie in
/// live memory.
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
    let turn = const { unroll(R) };
    let unrolled = depth - depth % turn;
    let mut p = 0;
    while p < unrolled {
        for q in 0..turn {
            // SAFETY: `p + q < depth`; the rest is the contract of the caller.
            unsafe { step::<S, T, PANEL, R, V>(simd, p + q, a, b, &mut sum) };
        }
        p += turn;
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
        // SAFETY: sixteen numbers of B by the contract of the caller; an array is aligned like its
        // elements.
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

/// The rows of C that a tile writes.
#[derive(Clone, Copy)]
pub(super) struct RowsOfC<'a, 'c, T> {
    c: &'a SharedMut<'c, T>,
    start: usize,
    stride: usize,
}

impl<'a, 'c, T> RowsOfC<'a, 'c, T> {
    /// Creates the view; row `r` begins at `start + r * stride` in `c`.
    ///
    /// # Safety
    /// Nobody else has access to the rows that the tile covers while this lives.
    #[inline(always)]
    pub(super) unsafe fn new(c: &'a SharedMut<'c, T>, start: usize, stride: usize) -> Self {
        Self { c, start, stride }
    }

    /// Returns the first `len` numbers of row `r`.
    #[inline(always)]
    fn row(&mut self, r: usize, len: usize) -> &mut [T] {
        let start = self.start + r * self.stride;
        // SAFETY: nobody else has access, by the contract of `new`; here one row is borrowed at a
        // time.
        unsafe { self.c.part(start..start + len) }
    }
}

/// Turns the sums of a tile into numbers of C: `sum (+ c) (+ bias)`, added in this order. All lane
/// groups are whole.
#[inline(always)]
pub(super) fn finish_whole<S: Simd, T: Number, const R: usize, const V: usize>(
    simd: S,
    mut sum: [[T::Group<S>; V]; R],
    mut c: RowsOfC<'_, '_, T>,
    add_c: bool,
    bias: Option<&[T]>,
) {
    if add_c {
        for (r, sum) in sum.iter_mut().enumerate() {
            add_row::<S, T, V>(simd, sum, c.row(r, V * LANES));
        }
    }
    if let Some(bias) = bias {
        for sum in &mut sum {
            add_row::<S, T, V>(simd, sum, bias);
        }
    }
    for (r, sum) in sum.into_iter().enumerate() {
        for (group, to) in sum.into_iter().zip(c.row(r, V * LANES).as_chunks_mut().0) {
            T::group_store::<S>(group, to);
        }
    }
}

/// Adds sixteen numbers each from `terms` to the lane groups of a row.
#[inline(always)]
fn add_row<S: Simd, T: Number, const V: usize>(simd: S, sum: &mut [T::Group<S>; V], terms: &[T]) {
    for (group, terms) in sum.iter_mut().zip(terms.as_chunks().0) {
        *group = T::group_add(*group, T::group_load(simd, terms), simd);
    }
}

/// Does what [`finish_whole`] does at the right edge of C, where only `len` columns of the tile
/// exist.
#[inline(always)]
pub(super) fn finish_edge<S: Simd, T: Number, const R: usize, const V: usize>(
    sum: [[T::Group<S>; V]; R],
    mut c: RowsOfC<'_, '_, T>,
    len: usize,
    add_c: bool,
    bias: Option<&[T]>,
) {
    for (r, sum) in sum.into_iter().enumerate() {
        let mut numbers = [[T::ZERO; LANES]; V];
        for (group, to) in sum.into_iter().zip(&mut numbers) {
            T::group_store::<S>(group, to);
        }
        let numbers = &mut numbers.as_flattened_mut()[..len];
        let c = c.row(r, len);
        if add_c {
            for (x, c) in numbers.iter_mut().zip(&*c) {
                *x += *c;
            }
        }
        if let Some(bias) = bias {
            for (x, b) in numbers.iter_mut().zip(bias) {
                *x += *b;
            }
        }
        c.copy_from_slice(numbers);
    }
}
