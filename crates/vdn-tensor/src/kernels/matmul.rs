//! The matrix product `C = A B`: packed, tiled, parallel.
//!
//! The structure follows K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (ACM TOMS 34(3), 2008), with the tile loop of F. Van Zee and R. van de Geijn,
//! "BLIS" (ACM TOMS 41(3), 2015):
//!
//! * A tile of C stays in registers (`microkernel.rs`), its rows of A in the level 1 cache, and
//!   some columns of B in the level 2 cache.
//! * Parts of A and B are copied into the order in which they are read (`pack.rs`) if that pays off
//!   (`blocking.rs`).
//! * The copies of B serve all threads (`shared_panels.rs`).
//!
//! # Reproducibility
//! The inner dimension is cut into blocks whose length depends only on that dimension and the
//! number type. Within a block an element of C is one chain of `mul_add` in order; blocks are added
//! in order. The result is therefore the same, bit by bit, for any number of threads, and on every
//! level with fused multiply-add. Nothing is skipped: zeros times NaN or infinity are NaN, as in
//! the naive loops.

use super::blocking::{Blocking, GROUPS, Problem, tile_rows};
use super::microkernel::{
    ColumnsOfB, Number, RowsOfA, RowsOfC, finish_edge, finish_whole, products,
};
use super::pack::{pack_columns, pack_rows};
use super::shared_panels::{CHUNK, Claim, PanelsOfB};
use crate::buffer::with_scratch;
use crate::dispatch;
use crate::element::Element;
use crate::extent::Extent;
use crate::parallel::{self, SharedMut};
use crate::simd::{self, LANES, Level, Simd};
use std::ops::Range;

/// One factor of a product.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, T> {
    /// The numbers, row by row as they are stored.
    pub data: &'a [T],
    /// Whether the transpose of the factor is stored.
    pub transposed: bool,
}

/// The combination of the product `A B`, `[m, n]`, with the contents of C.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a, T> {
    /// `C = A B`; the old contents of C have no effect.
    None,
    /// `C = C + A B`.
    Accumulate,
    /// `C = A B + bias`, where the same bias `[n]` is added to every row.
    Bias(&'a [T]),
}

/// Computes the matrix product `c` `[m, n]` of `a` `[m, k]` and `b` `[k, n]`. A transposed operand
/// is stored `[k, m]` or `[n, k]`.
///
/// ```
/// use vdn_tensor::kernels::{Epilogue, Operand, matmul};
/// let a = Operand { data: &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], transposed: false }; // [2, 3]
/// let b = Operand { data: &[1.0, 0.0, 2.0, 0.0, 1.0, 3.0], transposed: true }; // [3, 2], stored [2, 3]
/// let mut c = [0.0; 4];
/// matmul(2, 2, 3, a, b, &mut c, Epilogue::Bias(&[10.0, 20.0]));
/// assert_eq!(c, [17.0, 31.0, 26.0, 43.0]);
/// ```
///
/// # Panics
/// Panics if a slice does not have the length that follows from `m`, `n` and `k`.
pub fn matmul<T: Element>(
    m: usize,
    n: usize,
    k: usize,
    a: Operand<'_, T>,
    b: Operand<'_, T>,
    c: &mut [T],
    epilogue: Epilogue<'_, T>,
) {
    Extent::new("matmul", [m, k]).check("a", a.data);
    Extent::new("matmul", [k, n]).check("b", b.data);
    Extent::new("matmul", [m, n]).check("c", c);
    if let Epilogue::Bias(bias) = epilogue {
        Extent::new("matmul", [n]).check("the bias", bias);
    }
    // `T` is one of two types. Their products are compiled here, once, and not in every crate that
    // multiplies.
    if size_of::<T>() == size_of::<f32>() {
        multiply_f32([m, n, k], a.cast(), b.cast(), bytemuck::cast_slice_mut(c), epilogue.cast());
    } else {
        multiply_f64([m, n, k], a.cast(), b.cast(), bytemuck::cast_slice_mut(c), epilogue.cast());
    }
}

impl<'a, T: Element> Operand<'a, T> {
    /// Returns the same operand if `T` and `U` are the same type.
    fn cast<U: Element>(self) -> Operand<'a, U> {
        Operand { data: bytemuck::cast_slice(self.data), transposed: self.transposed }
    }
}

impl<'a, T: Element> Epilogue<'a, T> {
    /// Returns the same epilogue if `T` and `U` are the same type.
    fn cast<U: Element>(self) -> Epilogue<'a, U> {
        match self {
            Self::None => Epilogue::None,
            Self::Accumulate => Epilogue::Accumulate,
            Self::Bias(bias) => Epilogue::Bias(bytemuck::cast_slice(bias)),
        }
    }
}

#[inline(never)]
fn multiply_f32(
    shape: [usize; 3],
    a: Operand<'_, f32>,
    b: Operand<'_, f32>,
    c: &mut [f32],
    epilogue: Epilogue<'_, f32>,
) {
    multiply(shape, a, b, c, epilogue);
}

#[inline(never)]
fn multiply_f64(
    shape: [usize; 3],
    a: Operand<'_, f64>,
    b: Operand<'_, f64>,
    c: &mut [f64],
    epilogue: Epilogue<'_, f64>,
) {
    multiply(shape, a, b, c, epilogue);
}

/// Multiplies operands whose lengths were asserted.
fn multiply<T: Number>(
    [m, n, k]: [usize; 3],
    mut a: Operand<'_, T>,
    b: Operand<'_, T>,
    c: &mut [T],
    epilogue: Epilogue<'_, T>,
) {
    if c.is_empty() {
        return;
    }
    if k == 0 {
        return no_products(c, epilogue);
    }
    // The two ways to store a single row are the same; this one need not be copied.
    a.transposed &= m > 1;
    let level = simd::level().unwrap_or_else(|e| panic!("{e}"));
    let (transposed_a, transposed_b) = (a.transposed, b.transposed);
    let problem = Problem { m, n, k, transposed_a, transposed_b, size: size_of::<T>() };
    let blocking = Blocking::new(problem, level, parallel::threads());
    let [down, across] = blocking.tasks;
    let shared_len = if blocking.share_b { PanelsOfB::<T>::len(n, k, blocking.depth) } else { 0 };
    let c = Extent::new("matmul", [m, n]).share("c", c);
    with_scratch(shared_len, |memory: &mut [T]| {
        let panels = PanelsOfB::new(memory, n, blocking.depth);
        let product = Product { m, n, k, a, b, c, epilogue, blocking, panels };
        parallel::for_each(down * across, |task| product.run(level, task / across, task % across));
    });
}

/// Computes the result for an empty inner dimension.
fn no_products<T: Element>(c: &mut [T], epilogue: Epilogue<'_, T>) {
    match epilogue {
        Epilogue::None => c.fill(T::ZERO),
        Epilogue::Accumulate => {}
        Epilogue::Bias(bias) => {
            c.chunks_exact_mut(bias.len()).for_each(|c| c.copy_from_slice(bias))
        }
    }
}

/// A product whose operands have the right lengths, none of them 0; the `unsafe` code of this file
/// relies on this.
struct Product<'a, T> {
    m: usize,
    n: usize,
    k: usize,
    a: Operand<'a, T>,
    b: Operand<'a, T>,
    c: SharedMut<'a, T>,
    epilogue: Epilogue<'a, T>,
    blocking: Blocking,
    /// B in panels, if the tasks share it.
    panels: PanelsOfB<'a, T>,
}

/// A part of a product: a block of rows, a block of the inner dimension, and some lane groups of
/// columns.
struct Part<'a, T> {
    rows: Range<usize>,
    inner: Range<usize>,
    columns: Range<usize>,
    /// The panels of these rows and inner indices, if A is packed.
    panels: &'a [T],
    b: ColumnsOfB<T>,
}

impl<T: Number> Product<'_, T> {
    /// Runs the task at row `down` and column `across` of the grid of tasks.
    fn run(&self, level: Level, down: usize, across: usize) {
        let Blocking { depth, rows: block, pack_a, .. } = self.blocking;
        let rows = self.blocking.task_rows(down, self.m);
        let columns = self.blocking.task_columns(across, self.n);
        let b_len = GROUPS * LANES * depth;
        let a_len = if pack_a { block * depth } else { 0 };
        with_scratch(b_len + a_len, |scratch: &mut [T]| {
            let (b_panels, a_panels) = scratch.split_at_mut(b_len);
            dispatch!(level, simd => {
                blocks(simd, self, rows.clone(), columns.clone(), a_panels, b_panels)
            });
        });
    }

    /// Copies `rows` of A, stored by rows, to panels of `W`.
    #[inline(always)]
    fn pack_plain_a<const W: usize>(&self, rows: Range<usize>, inner: Range<usize>, to: &mut [T]) {
        let depth = inner.len();
        for (row, panel) in rows.clone().step_by(W).zip(to.chunks_mut(depth * W)) {
            let from = &self.a.data[row * self.k + inner.start..];
            pack_columns::<T, W>(from, self.k, W.min(rows.end - row), depth, panel);
        }
    }

    /// Copies `rows` of A, stored transposed, to panels of `W`.
    #[inline(always)]
    fn pack_a<const W: usize>(&self, rows: Range<usize>, inner: Range<usize>, panels: &mut [T]) {
        let from = &self.a.data[inner.start * self.m + rows.start..];
        pack_rows::<T, W>(from, self.m, rows.len(), inner.len(), panels);
    }

    /// Returns the panels of a chunk of `columns` of B: the shared panels, or a copy in `own`.
    #[inline(always)]
    fn panels_of_b(&self, columns: Range<usize>, inner: Range<usize>, own: &mut [T]) -> *const T {
        let (column, first) = (columns.start, inner.start);
        let claim =
            if self.blocking.share_b { self.panels.claim(column, first) } else { Claim::Taken };
        let (to, shared) = match claim {
            Claim::Ready(panels) => return panels,
            Claim::Empty(panels) => (panels, true),
            // Another thread is copying it: waiting would take as long as copying.
            Claim::Taken => (own, false),
        };
        self.pack_b(columns, inner, to);
        let panels = to.as_ptr();
        if shared { self.panels.publish(column, first) } else { panels }
    }

    /// Copies `columns` of B to panels of sixteen.
    #[inline(always)]
    fn pack_b(&self, columns: Range<usize>, inner: Range<usize>, panels: &mut [T]) {
        let Operand { data, transposed } = self.b;
        let depth = inner.len();
        if !transposed {
            let from = &data[inner.start * self.n + columns.start..];
            return pack_rows::<T, LANES>(from, self.n, columns.len(), depth, panels);
        }
        for (j, panel) in columns.clone().step_by(LANES).zip(panels.chunks_mut(depth * LANES)) {
            let width = LANES.min(columns.end - j);
            pack_columns::<T, LANES>(
                &data[j * self.k + inner.start..],
                self.k,
                width,
                depth,
                panel,
            );
        }
    }
}

/// Processes all blocks of the rows and columns of one task.
#[inline(always)]
fn blocks<S: Simd, T: Number>(
    simd: S,
    product: &Product<'_, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    a_panels: &mut [T],
    b_panels: &mut [T],
) {
    let &Product { m, n, k, a, b, blocking, .. } = product;
    // Tasks above each other begin with different columns of B, so each finds most panels already
    // copied by the others.
    let chunks = columns.len().div_ceil(CHUNK);
    let turn = (rows.start * chunks).div_ceil(m);
    for i in rows.clone().step_by(blocking.rows) {
        let rows = i..rows.end.min(i + blocking.rows);
        for p in (0..k).step_by(blocking.depth) {
            let inner = p..k.min(p + blocking.depth);
            if blocking.pack_a {
                match const { tile_rows(S::LEVEL, size_of::<T>()) } {
                    8 if !a.transposed => {
                        product.pack_plain_a::<8>(rows.clone(), inner.clone(), a_panels);
                    }
                    8 => product.pack_a::<8>(rows.clone(), inner.clone(), a_panels),
                    6 => product.pack_a::<6>(rows.clone(), inner.clone(), a_panels),
                    _ => product.pack_a::<2>(rows.clone(), inner.clone(), a_panels),
                }
            }
            for chunk in 0..chunks {
                let first = columns.start + (chunk + turn) % chunks * CHUNK;
                let last = columns.end.min(first + CHUNK);
                let mut next = first;
                while next < last {
                    // Whole lane groups can be read in place; the rest of the row is copied to a
                    // panel.
                    let whole = (last - next) / LANES * LANES;
                    let in_place = blocking.b_in_place && whole > 0;
                    let columns = next..if in_place { next + whole } else { last };
                    next = columns.end;
                    let b = if in_place {
                        let start = b.data[p * n + columns.start..].as_ptr();
                        ColumnsOfB { start, stride: n, group_stride: LANES }
                    } else {
                        let start = product.panels_of_b(columns.clone(), inner.clone(), b_panels);
                        ColumnsOfB { start, stride: LANES, group_stride: inner.len() * LANES }
                    };
                    let (rows, inner) = (rows.clone(), inner.clone());
                    let part = Part { rows, inner, columns, panels: a_panels, b };
                    if blocking.pack_a || a.transposed {
                        tiles::<S, T, true>(simd, product, &part);
                    } else {
                        tiles::<S, T, false>(simd, product, &part);
                    }
                }
            }
        }
    }
}

/// Processes all tiles of a part. As many rows as possible are in the largest tiles, the others in
/// smaller tiles, which are wider, so that as many chains are in flight.
#[inline(always)]
fn tiles<S: Simd, T: Number, const PANEL: bool>(
    simd: S,
    product: &Product<'_, T>,
    part: &Part<'_, T>,
) {
    macro_rules! shapes {
        ($($rows:literal x $groups:literal),+) => {{
            let row = part.rows.start;
            $(let row = strip::<S, T, PANEL, $rows, $groups>(simd, product, part, row);)+
            debug_assert_eq!(row, part.rows.end);
        }};
    }
    match (S::LEVEL, size_of::<T>()) {
        (Level::Avx512, 8) => shapes!(8 x 1, 4 x 1, 2 x 1, 1 x 1),
        (_, 8) => shapes!(2 x 1, 1 x 1),
        (Level::Avx512, _) => shapes!(8 x 3, 4 x 2, 2 x 4, 1 x 4),
        (Level::Avx2, _) => shapes!(6 x 1, 4 x 1, 2 x 2, 1 x 4),
        _ => shapes!(2 x 1, 1 x 2),
    }
}

/// Processes the tiles of `R` rows, from row `first` on, while there are enough rows. Returns the
/// first row that is left.
#[inline(always)]
fn strip<S: Simd, T: Number, const PANEL: bool, const R: usize, const V: usize>(
    simd: S,
    product: &Product<'_, T>,
    part: &Part<'_, T>,
    first: usize,
) -> usize {
    let end = first + (part.rows.end - first) / R * R;
    let groups = part.columns.len().div_ceil(LANES);
    let wide = groups / V * V;
    if V > 1 {
        grid::<S, T, PANEL, R, V>(simd, product, part, first..end, 0..wide);
        grid::<S, T, PANEL, R, 1>(simd, product, part, first..end, wide..groups);
    } else {
        grid::<S, T, PANEL, R, 1>(simd, product, part, first..end, 0..groups);
    }
    end
}

/// Processes the tiles of whole multiples of `R` rows and `V` lane groups, one row of tiles after
/// the other. The rows of A stay in the nearest cache, and B comes from the next cache in the order
/// of its storage.
#[inline(always)]
fn grid<S: Simd, T: Number, const PANEL: bool, const R: usize, const V: usize>(
    simd: S,
    product: &Product<'_, T>,
    part: &Part<'_, T>,
    rows: Range<usize>,
    groups: Range<usize>,
) {
    for row in rows.step_by(R) {
        for group in groups.clone().step_by(V) {
            tile::<S, T, PANEL, R, V>(simd, product, part, row, group);
        }
    }
}

/// Processes the tile of `R` rows from `row` on and `V` lane groups from `group` on.
#[inline(always)]
fn tile<S: Simd, T: Number, const PANEL: bool, const R: usize, const V: usize>(
    simd: S,
    product: &Product<'_, T>,
    part: &Part<'_, T>,
    row: usize,
    group: usize,
) {
    let &Product { m, n, k, a, blocking, .. } = product;
    let Range { start: inner, end: inner_end } = part.inner;
    let depth = inner_end - inner;
    let rows = if blocking.pack_a {
        let width = tile_rows(S::LEVEL, size_of::<T>());
        let (panel, column) = ((row - part.rows.start) / width, (row - part.rows.start) % width);
        RowsOfA { start: part.panels[panel * depth * width + column..].as_ptr(), stride: width }
    } else if PANEL {
        RowsOfA { start: a.data[inner * m + row..].as_ptr(), stride: m }
    } else {
        RowsOfA { start: a.data[row * k + inner..].as_ptr(), stride: k }
    };
    let b = ColumnsOfB { start: part.b.start.wrapping_add(group * part.b.group_stride), ..part.b };
    // SAFETY: `row + R <= m`, the inner indices end at most at `k`, and the lengths of the operands
    // were asserted; a panel holds `width` rows, of which these are some. `part.b` covers all
    // groups of the part: B itself where they are whole, packed panels otherwise.
    let sum = unsafe { products::<S, T, PANEL, R, V>(simd, depth, rows, b) };

    let column = part.columns.start + group * LANES;
    let columns = column..part.columns.end.min(column + V * LANES);
    let add_c = inner > 0 || matches!(product.epilogue, Epilogue::Accumulate);
    let bias = match product.epilogue {
        Epilogue::Bias(bias) if inner_end == k => Some(&bias[columns.clone()]),
        _ => None,
    };
    // SAFETY: rows and columns of the tasks are disjoint, and a task has one tile at a time.
    let c = unsafe { RowsOfC::new(&product.c, row * n + columns.start, n) };
    if columns.len() == V * LANES {
        finish_whole(simd, sum, c, add_c, bias);
    } else {
        finish_edge::<S, T, R, V>(sum, c, columns.len(), add_c, bias);
    }
}
