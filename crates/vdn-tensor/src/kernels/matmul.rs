//! The matrix product: packed panels, register tiles of the level's own shape, rows or columns spread over threads.
//!
//! Structure of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): `k` is cut into blocks
//! that fit the first-level cache, panels of `b` (and of `a`, where that pays) are copied so that tiles read them in
//! order, and a tile of rows by lane groups stays in registers over a whole block.
//!
//! Every element is a chain of multiply-adds in the order of `k`, block after block. Blocks depend on `k` and the element
//! type alone, so a result does not depend on the number of threads, nor on the tile, which differs between levels: AVX2
//! and AVX-512 agree bit for bit. Nothing is skipped: NaN and infinity propagate.

use super::microkernel::{ColumnsOfB, Finish, RowsOfA, finish_row, products};
use super::pack::{pack_columns, pack_rows};
use crate::buffer::with_scratch;
use crate::dispatch;
use crate::element::Element;
use crate::parallel::{self, SharedMut};
use crate::simd::{self, LANES, Level, Simd};
use std::ops::Range;

/// One factor of a product.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, T> {
    /// The numbers, row-major.
    pub data: &'a [T],
    /// Whether the matrix is stored transposed: `a [m, k]` as `[k, m]`, `b [k, n]` as `[n, k]`.
    pub transposed: bool,
}

/// What becomes of the product.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a, T> {
    /// `c = a b`.
    None,
    /// `c += a b`.
    Accumulate,
    /// `c = a b + bias`, the bias `[n]` added to every row.
    Bias(&'a [T]),
}

/// Depth of a block of `k`, in `f32`; half of it in `f64`. A panel of sixteen columns is then 24 KiB.
const DEPTH: usize = 384;
/// Rows of a block of `a`, at most.
const ROWS: usize = 192;
/// Columns from which on copying `a` pays.
const COPY_A: usize = 128;
/// Lane groups of `b` that are copied at a time.
const GROUPS: usize = 4;
/// Rows of `c` up to which `b` is read where it lies.
const DIRECT_ROWS: usize = 8;
/// Multiply-adds that are worth a thread of their own.
const WORK: usize = 1 << 18;

struct Product<'a, T> {
    m: usize,
    n: usize,
    k: usize,
    a: Operand<'a, T>,
    b: Operand<'a, T>,
    c: SharedMut<'a, T>,
    epilogue: Epilogue<'a, T>,
    kc: usize,
    mc: usize,
    pack_a: bool,
}

/// Rows of a packed panel of `a`: those of the level's largest tile.
fn tile_rows(level: Level, size: usize) -> usize {
    match (level, size) {
        (Level::Avx512, 4) => 8,
        (Level::Avx512, _) => 6,
        (Level::Avx2, 4) => 6,
        _ => 2,
    }
}

/// The product of `a [m, k]` and `b [k, n]` into `c [m, n]`, all row-major. An empty sum (`k = 0`) is 0.
///
/// ```
/// use vdn_tensor::kernels::{Epilogue, Operand, matmul};
/// let a = Operand { data: &[1.0_f32, 2.0, 3.0, 4.0], transposed: false };
/// let b = Operand { data: &[0.0, 1.0, 1.0, 0.0], transposed: false };
/// let mut c = [0.0; 4];
/// matmul(2, 2, 2, a, b, &mut c, Epilogue::Bias(&[10.0, 20.0]));
/// assert_eq!(c, [12.0, 21.0, 14.0, 23.0]);
/// ```
///
/// # Panics
/// A slice does not have the length its shape asks for.
pub fn matmul<T: Element>(
    m: usize,
    n: usize,
    k: usize,
    mut a: Operand<'_, T>,
    b: Operand<'_, T>,
    c: &mut [T],
    epilogue: Epilogue<'_, T>,
) {
    assert_eq!(a.data.len(), m * k, "matmul: a is not [{m}, {k}]");
    assert_eq!(b.data.len(), k * n, "matmul: b is not [{k}, {n}]");
    assert_eq!(c.len(), m * n, "matmul: c is not [{m}, {n}]");
    if let Epilogue::Bias(bias) = epilogue {
        assert_eq!(bias.len(), n, "matmul: the bias is not [{n}]");
    }
    if m == 0 || n == 0 {
        return;
    }
    if m == 1 {
        a.transposed = false;
    }
    let level = simd::level().unwrap_or_else(|e| panic!("{e}"));
    let size = size_of::<T>();
    let r = tile_rows(level, size);
    let kc = k.div_ceil(k.div_ceil(DEPTH * 4 / size).max(1)).next_multiple_of(4);
    let pack_a = a.transposed || n > COPY_A;
    let threads = parallel::threads();
    let tasks = if threads == 1 { 1 } else { threads.min(m * n * k / WORK) };
    let (rows, cols) = partition(m, n, tasks, threads, r, a.transposed || pack_a);
    let (pm, pn) = (m.div_ceil(rows), n.div_ceil(cols));
    let mc = rows.div_ceil(rows.div_ceil(ROWS)).next_multiple_of(r);
    let product = Product { m, n, k, a, b, c: SharedMut::new(c), epilogue, kc, mc, pack_a };
    parallel::for_each(pm * pn, |t| {
        let (i, j) = (t / pn, t % pn);
        let r = i * rows..((i + 1) * rows).min(m);
        let c = j * cols..((j + 1) * cols).min(n);
        let group = GROUPS * LANES * kc;
        with_scratch(group + if pack_a { kc * mc } else { 0 }, |scratch: &mut [T]| {
            let (b_packed, a_packed) = scratch.split_at_mut(group);
            dispatch!(level, simd => task(simd, &product, r.clone(), c.clone(), a_packed, b_packed))
        });
    });
}

/// Rows and columns of a task: the cut into tasks that leaves the slowest thread the least to compute and to copy.
fn partition(
    m: usize,
    n: usize,
    tasks: usize,
    threads: usize,
    r: usize,
    pack_a: bool,
) -> (usize, usize) {
    let mut best = (usize::MAX, m, n);
    for pn in 1..=tasks.max(1) {
        let pm = tasks.max(1) / pn;
        let rows = m.div_ceil(pm).next_multiple_of(r);
        let cols = n.div_ceil(pn).next_multiple_of(LANES);
        let waves = (m.div_ceil(rows) * n.div_ceil(cols)).div_ceil(threads);
        let cost = waves * (rows * cols + 8 * cols + if pack_a { 12 * rows } else { 0 });
        if cost < best.0 {
            best = (cost, rows, cols);
        }
    }
    (best.1, best.2)
}

/// Computes some rows and columns of `c`.
#[inline(always)]
fn task<S: Simd, T: Element>(
    simd: S,
    product: &Product<'_, T>,
    rows: Range<usize>,
    cols: Range<usize>,
    a_packed: &mut [T],
    b_packed: &mut [T],
) {
    let &Product { n, k, a, b, kc, mc, pack_a, .. } = product;
    let panel = tile_rows(S::LEVEL, size_of::<T>());
    let direct_b = !b.transposed && rows.len() <= DIRECT_ROWS;
    for i0 in rows.clone().step_by(mc) {
        let block = i0..(i0 + mc).min(rows.end);
        let mut p0 = 0;
        loop {
            let depth = kc.min(k - p0);
            if pack_a {
                match panel {
                    8 => pack_a_block::<T, 8>(product, block.clone(), p0, depth, a_packed),
                    6 => pack_a_block::<T, 6>(product, block.clone(), p0, depth, a_packed),
                    _ => pack_a_block::<T, 2>(product, block.clone(), p0, depth, a_packed),
                }
            }
            let mut j0 = cols.start;
            while j0 < cols.end {
                let mut width = (cols.end - j0).min(GROUPS * LANES);
                let direct = direct_b && width >= LANES;
                let columns = if direct {
                    width -= width % LANES;
                    ColumnsOfB {
                        start: b.data[p0 * n + j0..].as_ptr(),
                        stride: n,
                        group_stride: LANES,
                    }
                } else {
                    if b.transposed {
                        for j in (0..width).step_by(LANES) {
                            pack_columns::<T, LANES>(
                                &b.data[(j0 + j) * k + p0..],
                                k,
                                (width - j).min(LANES),
                                depth,
                                &mut b_packed[j * depth..],
                            );
                        }
                    } else {
                        pack_rows::<T, LANES>(&b.data[p0 * n + j0..], n, width, depth, b_packed);
                    }
                    ColumnsOfB {
                        start: b_packed.as_ptr(),
                        stride: LANES,
                        group_stride: depth * LANES,
                    }
                };
                let g = Group {
                    product,
                    block: block.clone(),
                    p0,
                    depth,
                    j0,
                    width,
                    columns,
                    a_packed,
                    panel,
                };
                if pack_a {
                    tiles::<S, T, 0>(simd, &g)
                } else if a.transposed {
                    tiles::<S, T, 1>(simd, &g)
                } else {
                    tiles::<S, T, 2>(simd, &g)
                }
                j0 += width;
            }
            p0 += depth;
            if p0 >= k {
                break;
            }
        }
    }
}

/// A few lane groups of `b`, ready for the tiles of a block of rows.
struct Group<'a, T> {
    product: &'a Product<'a, T>,
    block: Range<usize>,
    p0: usize,
    depth: usize,
    j0: usize,
    width: usize,
    columns: ColumnsOfB<T>,
    a_packed: &'a [T],
    panel: usize,
}

/// All tiles of a group: as many of the largest as fit, then smaller ones. `A` says where `a` is read: 0 its panels, 1
/// where it lies transposed, 2 where it lies.
#[inline(always)]
fn tiles<S: Simd, T: Element, const A: usize>(simd: S, g: &Group<'_, T>) {
    macro_rules! shapes { ($($r:literal x $v:literal),*) => {{ let mut i = g.block.start; $( i = strips::<S, T, A, $r, $v>(simd, g, i); )* let _ = i; }} }
    match (S::LEVEL, size_of::<T>()) {
        (Level::Avx512, 4) => shapes!(8 x 3, 4 x 2, 2 x 4, 1 x 4),
        (Level::Avx512, _) => shapes!(6 x 1, 4 x 1, 2 x 2, 1 x 4),
        (Level::Avx2, 4) => shapes!(6 x 1, 4 x 1, 2 x 2, 1 x 4),
        _ => shapes!(2 x 1, 1 x 2),
    }
}

/// All tiles of `R` rows that fit below row `from`; returns the row after them.
#[inline(always)]
fn strips<S: Simd, T: Element, const A: usize, const R: usize, const V: usize>(
    simd: S,
    g: &Group<'_, T>,
    from: usize,
) -> usize {
    let to = from + (g.block.end - from) / R * R;
    if from == to {
        return to;
    }
    let mut j = 0;
    while j < g.width {
        let mut i = from;
        if V > 1 && g.width.next_multiple_of(LANES) - j >= V * LANES {
            while i < to {
                tile::<S, T, A, R, V>(simd, g, i, j);
                i += R;
            }
            j += V * LANES;
        } else {
            while i < to {
                tile::<S, T, A, R, 1>(simd, g, i, j);
                i += R;
            }
            j += LANES;
        }
    }
    to
}

/// One tile: `R` rows from `i`, at most `V` lane groups from `j`.
#[inline(always)]
fn tile<S: Simd, T: Element, const A: usize, const R: usize, const V: usize>(
    simd: S,
    g: &Group<'_, T>,
    i: usize,
    j: usize,
) {
    let &Product { m, n, k, a, .. } = g.product;
    let width = (g.width - j).min(V * LANES);
    let jc = g.j0 + j;
    let finish = Finish {
        add_c: g.p0 > 0 || matches!(g.product.epilogue, Epilogue::Accumulate),
        bias: match g.product.epilogue {
            Epilogue::Bias(bias) if g.p0 + g.depth == k => Some(&bias[jc..][..width]),
            _ => None,
        },
    };
    // SAFETY: the columns' lane groups lie in `b_packed` or (read where they lie, whole groups only) in `b`; the `R` rows
    // lie in the block's panels or in `a`, over `depth` steps of `k`; the tiles of all tasks are disjoint parts of `c`.
    unsafe {
        let b = ColumnsOfB {
            start: g.columns.start.add(j / LANES * g.columns.group_stride),
            ..g.columns
        };
        let sum = match A {
            0 => {
                let at = i - g.block.start;
                let start =
                    g.a_packed.as_ptr().add(at / g.panel * g.panel * g.depth + at % g.panel);
                products::<S, T, true, R, V>(simd, g.depth, RowsOfA { start, stride: g.panel }, b)
            }
            1 => {
                let start = a.data.as_ptr().add(g.p0 * m + i);
                products::<S, T, true, R, V>(simd, g.depth, RowsOfA { start, stride: m }, b)
            }
            _ => {
                let start = a.data.as_ptr().add(i * k + g.p0);
                products::<S, T, false, R, V>(simd, g.depth, RowsOfA { start, stride: k }, b)
            }
        };
        for (r, row) in sum.into_iter().enumerate() {
            let at = (i + r) * n + jc;
            finish_row::<S, T, V>(simd, row, g.product.c.part(at..at + width), finish);
        }
    }
}

/// Copies a block of `a` into panels of `W` rows.
#[inline(always)]
fn pack_a_block<T: Element, const W: usize>(
    product: &Product<'_, T>,
    block: Range<usize>,
    p0: usize,
    depth: usize,
    to: &mut [T],
) {
    let &Product { m, k, a, .. } = product;
    if a.transposed {
        pack_rows::<T, W>(&a.data[p0 * m + block.start..], m, block.len(), depth, to);
    } else {
        for (i, to) in block.clone().step_by(W).zip(to.chunks_mut(depth * W)) {
            pack_columns::<T, W>(&a.data[i * k + p0..], k, (block.end - i).min(W), depth, to);
        }
    }
}
