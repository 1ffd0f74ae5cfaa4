//! Copies of parts of A and B in the order in which the tiles of a matrix product read them.
//!
//! A panel is `W` rows of A (if A is stored transposed) or `W` columns of B: `panel[p * W + w]` for
//! the inner index `p`. If the matrix ends inside a panel, the positions beyond its edge hold
//! meaningless numbers (the neighbours in memory, or zeros). The tile's products with them are
//! discarded.

use crate::element::Element;
use wide::f32x4;

/// The number of rows that [`pack_rows`] spreads over all panels before it goes to the next rows.
/// Rows whose distance is a power of two share their places in the cache, so they must be used up
/// before others evict them.
const ROWS: usize = 8;

/// Packs the panels of a matrix that is stored as rows of inner index:
/// `panels[(g * depth + p) * W + w]` becomes `from[p * stride + g * W + w]`.
#[inline(always)]
pub(super) fn pack_rows<T: Element, const W: usize>(
    from: &[T],
    stride: usize,
    width: usize,
    depth: usize,
    panels: &mut [T],
) {
    for p0 in (0..depth).step_by(ROWS) {
        let p1 = (p0 + ROWS).min(depth);
        for w in (0..width).step_by(W) {
            let to = &mut panels[w * depth..][p0 * W..p1 * W];
            for p in p0..p1 {
                let row = &from[p * stride + w..];
                copy_row::<T, W>(row, &mut to[(p - p0) * W..]);
            }
        }
    }
}

/// Copies the first `W` numbers of `row`, or all of them followed by zeros, to the start of `to`.
/// The numbers after them may be overwritten.
#[inline(always)]
fn copy_row<T: Element, const W: usize>(row: &[T], to: &mut [T]) {
    // Six numbers are not a vector. Eight are, and the two extra numbers are overwritten by the
    // next row.
    if W == 6
        && let (Some(eight), Some(to)) = (row.first_chunk::<8>(), to.first_chunk_mut::<8>())
    {
        *to = *eight;
        return;
    }
    let to = &mut to[..W];
    match row.first_chunk::<W>() {
        Some(whole) => to.copy_from_slice(whole),
        None => {
            let (head, tail) = to.split_at_mut(row.len());
            head.copy_from_slice(row);
            tail.fill(T::ZERO);
        }
    }
}

/// The side of the squares that [`pack_columns`] transposes.
const SIDE: usize = 4;

/// The number of inner indices that [`pack_columns`] takes from four columns before it goes to the
/// next columns: a cache line. ([`ROWS`] explains why a line is used up at once.)
const LINE: usize = 4 * SIDE;

/// Packs one panel of a matrix that is stored as columns of inner index: `panel[p * W + w]` becomes
/// `from[w * stride + p]`.
#[inline(always)]
pub(super) fn pack_columns<T: Element, const W: usize>(
    from: &[T],
    stride: usize,
    width: usize,
    depth: usize,
    panel: &mut [T],
) {
    let panel = &mut panel[..depth * W];
    let mut columns: [&[T]; W] = [&[]; W];
    for (w, column) in columns.iter_mut().enumerate() {
        *column = &from[w.min(width - 1) * stride..][..depth];
    }
    let lines = depth - depth % LINE;
    for p in (0..lines).step_by(LINE) {
        pack_squares::<T, W, LINE>(&columns, p, panel);
    }
    let whole = depth - depth % SIDE;
    for p in (lines..whole).step_by(SIDE) {
        pack_squares::<T, W, SIDE>(&columns, p, panel);
    }
    for p in whole..depth {
        for (w, column) in columns.iter().enumerate() {
            panel[p * W + w] = column[p];
        }
    }
}

/// Packs the inner indices from `p` to `p + L`.
#[inline(always)]
fn pack_squares<T: Element, const W: usize, const L: usize>(
    columns: &[&[T]; W],
    p: usize,
    panel: &mut [T],
) {
    const { assert!(W.is_multiple_of(SIDE)) };
    let panel = &mut panel[p * W..][..L * W];
    let (fours, _) = columns.as_chunks::<SIDE>();
    for (four, columns) in fours.iter().enumerate() {
        for l in (0..L).step_by(SIDE) {
            let mut square = [[T::ZERO; SIDE]; SIDE];
            for (to, column) in square.iter_mut().zip(columns) {
                to.copy_from_slice(&column[p + l..p + l + SIDE]);
            }
            for (q, row) in transpose(square).iter().enumerate() {
                panel[(l + q) * W + four * SIDE..][..SIDE].copy_from_slice(row);
            }
        }
    }
}

/// Returns the transpose: `to[j][i] = rows[i][j]`.
#[inline(always)]
fn transpose<T: Element>(rows: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE] {
    if size_of::<T>() == size_of::<f32>() {
        let rows: [f32x4; SIDE] = bytemuck::cast(rows);
        return bytemuck::cast(f32x4::transpose(rows));
    }
    let mut columns = [[T::ZERO; SIDE]; SIDE];
    for (i, row) in rows.iter().enumerate() {
        for (column, x) in columns.iter_mut().zip(row) {
            column[i] = *x;
        }
    }
    columns
}
