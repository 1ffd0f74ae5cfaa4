//! The fixed trees of all reductions: the order of additions depends only on the shape.
//!
//! * A row (contiguous) is cut into blocks of [`BLOCK`]. A block is summed in four lane groups side
//!   by side, and blocks are combined pairwise. At the end the sixteen lanes are combined by the
//!   tree of [`Lanes::sum`]. Rows of more than [`CHUNK`] numbers are cut into chunks, whose results
//!   form a row again.
//! * Columns (a sum over rows) are processed sixteen at a time: [`ROWS`] rows one after the other,
//!   then these blocks pairwise. Many rows are cut into segments, whose results form rows again.
//!
//! At most `26 + 3 log2(n)` roundings therefore lie between one of `n` numbers and the result. To
//! first order, the error of a sum is at most this count times `u sum |x|`, where `u` is half the
//! distance from 1 to the next number (Higham, "Accuracy and Stability of Numerical Algorithms",
//! 2nd ed., section 4.2). The count has these parts:
//!
//! * A row of up to [`CHUNK`] numbers has 7 in a block, 2 for the four groups, 4 for the lanes, and
//!   `log2` of the number of blocks.
//! * A segment of `2^r` rows (`r` at least 5) has 7 and `r - 3`.
//! * Cutting adds the count of the shorter row or column, which is `2^r` times shorter.
//! * Columns narrower than a lane group add 30, one by one, to a sum over a sixteenth of the rows.

use super::fold::{Fold, Plain, Source};
use crate::extent::Extent;
use crate::parallel::{for_each, for_each_chunk};
use crate::simd::{LANES, Lanes, Simd};
use crate::{Element, Real, dispatch, store_partial, with_scratch};
use std::mem::MaybeUninit;
use std::ops::Range;

/// The number of elements per parallel task. A single task runs on the calling thread.
pub(super) const CHUNK: usize = 16_384;
/// The number of elements per block of a row: eight additions in each of four lane groups.
const BLOCK: usize = 512;
/// The number of rows per block of a sum over rows.
const ROWS: usize = 8;
/// The number of lane groups that a sum over rows processes side by side: a strip of whole cache
/// lines.
const STRIP: usize = 4;
/// The number of levels of a pairwise tree: enough for `2^40` blocks, more than fit into memory.
const LEVELS: usize = 40;

/// Blocks combined pairwise. Entry `k` holds the result of `2^k` blocks if bit `k` of `count` is
/// set; otherwise it is stale or not yet written. (Writing all entries first would cost more than
/// summing a short row.)
struct Tree<L, const W: usize> {
    partial: [MaybeUninit<[L; W]>; LEVELS],
    count: usize,
}

impl<L: Real, const W: usize> Tree<L, W> {
    #[inline(always)]
    fn new() -> Self {
        Self { partial: [const { MaybeUninit::uninit() }; LEVELS], count: 0 }
    }

    #[inline(always)]
    fn push<F: Fold>(&mut self, fold: F, mut x: [L; W]) {
        let mut level = 0;
        while self.count >> level & 1 == 1 {
            x = self.with(fold, level, x);
            level += 1;
        }
        self.partial[level].write(x);
        self.count += 1;
    }

    /// Returns the result of all blocks, at least one. `last` is the youngest block, which was not
    /// pushed.
    #[inline(always)]
    fn finish<F: Fold>(&self, fold: F, last: [L; W]) -> [L; W] {
        let mut x = last;
        let mut level = 0;
        while self.count >> level != 0 {
            if self.count >> level & 1 == 1 {
                x = self.with(fold, level, x);
            }
            level += 1;
        }
        x
    }

    /// Combines the older blocks at `level`, whose bit is set, with the younger `x`.
    #[inline(always)]
    fn with<F: Fold>(&self, _fold: F, level: usize, mut x: [L; W]) -> [L; W] {
        debug_assert!(self.count >> level & 1 == 1);
        // SAFETY: the bit of `level` is set, so `push` has written the entry.
        let before = unsafe { self.partial[level].assume_init_ref() };
        for (x, before) in x.iter_mut().zip(before) {
            *x = F::lanes(*before, *x);
        }
        x
    }
}

/// Reduces a row of `n` numbers. `load(range)` returns the lane group there, with the identity
/// beyond `n`.
#[inline(always)]
pub(super) fn fold_row<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    n: usize,
    load: impl Fn(Range<usize>) -> T::Lanes<S>,
) -> T {
    let empty = T::splat(simd, T::from_f64(F::IDENTITY));
    let mut tree = Tree::new();
    let mut start = 0;
    loop {
        let end = n.min(start + BLOCK);
        let block = row_block(fold, empty, start..end, &load);
        if end == n {
            return F::across(tree.finish(fold, [block])[0]);
        }
        tree.push(fold, [block]);
        start = end;
    }
}

#[inline(always)]
fn row_block<L: Lanes, F: Fold>(
    _fold: F,
    empty: L,
    range: Range<usize>,
    load: &impl Fn(Range<usize>) -> L,
) -> L {
    let mut sums = [empty; STRIP];
    let mut at = range.start;
    while at + STRIP * LANES <= range.end {
        for (i, sum) in sums.iter_mut().enumerate() {
            let group = at + i * LANES;
            *sum = F::lanes(*sum, load(group..group + LANES));
        }
        at += STRIP * LANES;
    }
    for sum in &mut sums {
        if at < range.end {
            *sum = F::lanes(*sum, load(at..range.end.min(at + LANES)));
            at += LANES;
        }
    }
    F::lanes(F::lanes(sums[0], sums[1]), F::lanes(sums[2], sums[3]))
}

/// Reduces `W` lane groups of columns over `n` rows. `load(row)` returns the groups of a row.
#[inline(always)]
pub(super) fn fold_column<L: Real, F: Fold, const W: usize>(
    fold: F,
    empty: L,
    n: usize,
    load: impl Fn(usize) -> [L; W],
) -> [L; W] {
    let mut tree = Tree::new();
    let mut start = 0;
    loop {
        let end = n.min(start + ROWS);
        let block = column_block(fold, empty, start..end, &load);
        if end == n {
            return tree.finish(fold, block);
        }
        tree.push(fold, block);
        start = end;
    }
}

#[inline(always)]
fn column_block<L: Real, F: Fold, const W: usize>(
    _fold: F,
    empty: L,
    rows: Range<usize>,
    load: &impl Fn(usize) -> [L; W],
) -> [L; W] {
    let mut sums = [empty; W];
    for row in rows {
        for (sum, x) in sums.iter_mut().zip(&load(row)) {
            *sum = F::lanes(*sum, *x);
        }
    }
    sums
}

/// Reduces each of `out.len()` rows of `n` numbers.
pub(super) fn fold_rows<T: Element, F: Fold>(
    fold: F,
    source: &impl Source<T>,
    n: usize,
    out: &mut [T],
) {
    if n > CHUNK {
        // A chunk of a row becomes one number of `partial`, which is then a shorter row.
        let chunks = n.div_ceil(CHUNK);
        return with_scratch(out.len() * chunks, |partial: &mut [T]| {
            for_each_chunk(partial, 1, |i, partial| {
                let (row, start) = (i / chunks, i % chunks * CHUNK);
                let range = row * n + start..row * n + n.min(start + CHUNK);
                partial[0] = dispatch!(for T, simd => source_row(simd, fold, source, row, range));
            });
            fold_rows(fold, &Plain(partial), chunks, out);
        });
    }
    let rows = CHUNK / n.max(1);
    for_each_chunk(out, rows, |chunk, out| {
        dispatch!(for T, simd => source_rows(simd, fold, source, chunk * rows, n, out));
    });
}

#[inline(always)]
fn source_rows<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    source: &impl Source<T>,
    first: usize,
    n: usize,
    out: &mut [T],
) {
    for (i, out) in out.iter_mut().enumerate() {
        let row = first + i;
        *out = source_row(simd, fold, source, row, row * n..(row + 1) * n);
    }
}

#[inline(always)]
fn source_row<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    source: &impl Source<T>,
    row: usize,
    range: Range<usize>,
) -> T {
    let fill = T::from_f64(F::IDENTITY);
    fold_row(
        simd,
        fold,
        range.len(),
        #[inline(always)]
        |group| source.load(simd, row, range.start + group.start..range.start + group.end, fill),
    )
}

/// Reduces the middle axis of `[outer, n, inner]` into `out`, `[outer, inner]`.
pub(super) fn fold_columns<T: Element, F: Fold>(
    fold: F,
    source: &impl Source<T>,
    (outer, n, inner): (usize, usize, usize),
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    let rows = (CHUNK / inner).next_power_of_two().max(4 * ROWS);
    let segments = n.div_ceil(rows);
    if segments <= 1 {
        return fold_segments(fold, source, (outer, n, inner), n, out);
    }
    with_scratch(outer * segments * inner, |partial: &mut [T]| {
        fold_segments(fold, source, (outer, n, inner), rows, partial);
        fold_columns(fold, &Plain(partial), (outer, segments, inner), out);
    });
}

/// Reduces every `rows` rows of the middle axis to one. `out` is `[outer, ceil(n / rows), inner]`.
fn fold_segments<T: Element, F: Fold>(
    fold: F,
    source: &impl Source<T>,
    (outer, n, inner): (usize, usize, usize),
    rows: usize,
    out: &mut [T],
) {
    let segments = n.div_ceil(rows.max(1)).max(1);
    let out = Extent::new("fold_columns", [outer, segments, inner]).share("the output", out);
    for_each_strip((outer * segments, rows, inner), |index, columns| {
        let start = index % segments * rows;
        let range = index / segments * n + start..index / segments * n + n.min(start + rows);
        // SAFETY: strips are disjoint, so their columns of the rows `index` of the output are.
        let out = unsafe { out.part(index * inner + columns.start..index * inner + columns.end) };
        dispatch!(for T, simd => columns_of(simd, fold, source, range, inner, columns, out));
    });
}

#[inline(always)]
fn columns_of<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    source: &impl Source<T>,
    rows: Range<usize>,
    inner: usize,
    columns: Range<usize>,
    out: &mut [T],
) {
    let (wide, rest) = out.as_chunks_mut::<{ STRIP * LANES }>();
    let empty = T::splat(simd, T::from_f64(F::IDENTITY));
    let mut column = columns.start;
    for out in wide {
        let sums: [_; STRIP] = fold_column(
            fold,
            empty,
            rows.len(),
            #[inline(always)]
            |i| {
                let row = rows.start + i;
                let mut x = [empty; STRIP];
                for (group, x) in x.iter_mut().enumerate() {
                    let at = row * inner + column + group * LANES;
                    *x = source.load(simd, row, at..at + LANES, T::ZERO);
                }
                x
            },
        );
        for (out, sum) in out.chunks_exact_mut(LANES).zip(&sums) {
            store_partial(*sum, out);
        }
        column += STRIP * LANES;
    }
    for out in rest.chunks_mut(LANES) {
        let [sum] = fold_column(
            fold,
            empty,
            rows.len(),
            #[inline(always)]
            |i| {
                let row = rows.start + i;
                let at = row * inner + column;
                [source.load(simd, row, at..at + out.len(), T::ZERO)]
            },
        );
        store_partial(sum, out);
        column += LANES;
    }
}

/// Calls `body` for each lane group of `range`. Only the last may be shorter; it is compiled
/// separately from the others.
#[inline(always)]
pub(super) fn for_each_group(range: Range<usize>, mut body: impl FnMut(Range<usize>)) {
    let mut at = range.start;
    while at + LANES <= range.end {
        body(at..at + LANES);
        at += LANES;
    }
    if at < range.end {
        body(at..range.end);
    }
}

/// Cuts `[outer, n, inner]` into strips of whole columns and runs `work(index of outer, columns)`
/// for each in parallel, with about [`CHUNK`] numbers per task.
pub(super) fn for_each_strip(
    (outer, n, inner): (usize, usize, usize),
    work: impl Fn(usize, Range<usize>) + Sync + Send,
) {
    if outer == 0 || inner == 0 {
        return;
    }
    let width = (CHUNK / n.max(1)).next_multiple_of(STRIP * LANES).max(STRIP * LANES);
    let strips = inner.div_ceil(width);
    let count = outer * strips;
    let group = (CHUNK / (n.max(1) * width.min(inner))).max(1);
    for_each(count.div_ceil(group), |task| {
        for unit in task * group..count.min((task + 1) * group) {
            let start = unit % strips * width;
            work(unit / strips, start..inner.min(start + width));
        }
    });
}
