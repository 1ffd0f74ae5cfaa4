//! Copies of parts of A and B in the order in which the tiles of a matrix product read them.
//!
//! A panel is `W` rows of A or columns of B: `panel[p * W + w]` for the inner index `p`. Where the matrix ends inside a
//! panel, the places beyond its edge hold numbers without meaning (the neighbours in memory, or zeros): the tile's
//! products with them are thrown away.

use crate::element::Element;
use wide::f32x4;

/// How many rows.
const ROWS: usize = 8;

/// Panels of a matrix that is stored as rows of inner index: `panels[(g * depth + p) * W + w]` becomes
/// `from[p * stride + g * W + w]`.
#[inline(always)]
pub(super) fn pack_rows<T: Element, const W: usize>(
    from: &[T],
    stride: usize,
    width: usize,
    depth: usize,
    panels: &mut [T],
) {
    for p0 in (0..depth).step_by(ROWS) {
        for w in (0..width).step_by(W) {
            for p in p0..(p0 + ROWS).min(depth) {
                let row = &from[p * stride + w..];
                let to = &mut panels[w * depth + p * W..][..W];
                match row.first_chunk::<W>() {
                    Some(whole) => to.copy_from_slice(whole),
                    None => {
                        let (head, tail) = to.split_at_mut(row.len());
                        head.copy_from_slice(row);
                        tail.fill(T::ZERO);
                    }
                }
            }
        }
    }
}

/// The side of the squares that [`pack_columns`] turns over.
const SIDE: usize = 4;

/// How many inner indices [`pack_columns`] takes from a few rows before it goes to the next ones: a cache line. Rows
/// that lie a power of two apart share their places in the cache, so a line must be used up at once.
const LINE: usize = 4 * SIDE;

/// One panel of a matrix that is stored as columns of inner index: `panel[p * W + w]` becomes `from[w * stride + p]`.
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
        pack_square::<T, W, LINE>(&columns, p, panel);
    }
    let whole = depth - depth % SIDE;
    for p in (lines..whole).step_by(SIDE) {
        pack_square::<T, W, SIDE>(&columns, p, panel);
    }
    for p in whole..depth {
        for (w, column) in columns.iter().enumerate() {
            panel[p * W + w] = column[p];
        }
    }
}

#[inline(always)]
fn pack_square<T: Element, const W: usize, const L: usize>(
    columns: &[&[T]; W],
    p: usize,
    panel: &mut [T],
) {
    let panel = &mut panel[p * W..][..L * W];
    for w in (0..W).step_by(SIDE) {
        let len = SIDE.min(W - w);
        for l in (0..L).step_by(SIDE) {
            let mut square = [[T::ZERO; SIDE]; SIDE];
            for (i, four) in square.iter_mut().enumerate() {
                four.copy_from_slice(&columns[(w + i).min(W - 1)][p + l..p + l + SIDE]);
            }
            for (q, four) in transpose(square).iter().enumerate() {
                panel[(l + q) * W + w..][..len].copy_from_slice(&four[..len]);
            }
        }
    }
}

/// `to[j][i] = rows[i][j]`.
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
