//! Memory asked for ahead, where the arrays of a layer do not stay in a cache: the arithmetic of one place, most of it noise,
//! then runs while the lines of a later one are under way.

use super::{Place, TILE};
use crate::parallel::SharedMut;
use crate::simd::Simd;
use std::ops::Range;

/// Numbers of a layer from which on memory is asked for ahead: twelve bytes each in means, log-variances and samples. Below,
/// the arrays come from the third-level cache, whose latency the processor hides by itself, and asking costs a few percent.
const FAR: usize = 1 << 19;
/// How far ahead, in columns of a tile: four tiles are a quarter of a microsecond.
const COLUMNS: usize = 64;

/// Whether the arrays of a layer with `size` numbers lie far away.
pub(super) fn is_far(size: usize) -> bool {
    size >= FAR
}

/// The distance to the tile that is `COLUMNS` further on in `columns`, or at their beginning in the next four rows of an array
/// with rows of `width` numbers.
#[inline(always)]
pub(super) fn distance(place: Place, columns: &Range<usize>, width: usize) -> usize {
    if place.column + COLUMNS < columns.end {
        COLUMNS
    } else {
        (TILE * width + columns.start + COLUMNS).saturating_sub(columns.end)
    }
}

/// Asks for what is to be read from `x` at `at`.
#[inline(always)]
pub(super) fn to_read<S: Simd, T>(simd: S, x: &[T], at: usize) {
    simd.prefetch_read(x.as_ptr().wrapping_add(at.min(x.len().saturating_sub(1))));
}

/// Asks for what is to be written to `x` at `at`.
#[inline(always)]
pub(super) fn to_write<S: Simd, T>(simd: S, x: SharedMut<'_, T>, at: usize) {
    simd.prefetch_write(x.address(at));
}
