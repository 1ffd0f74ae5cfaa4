//! Prefetching, for layers whose arrays do not stay in a cache. Memory is requested ahead, so that
//! cache lines arrive while the arithmetic of an earlier place, most of it noise, is running.

use super::{Place, TILE};
use crate::parallel::SharedMut;
use crate::simd::Simd;
use std::ops::Range;

/// The count of numbers in a layer from which memory is prefetched; each takes twelve bytes in
/// means, log-variances and samples. Smaller arrays come from the third-level cache, whose latency
/// the processor hides by itself; prefetching would then cost a few percent.
const FAR: usize = 1 << 19;
/// The prefetch distance in columns of a tile: four tiles take a quarter of a microsecond.
const COLUMNS: usize = 64;

/// Returns whether the arrays of a layer with `size` numbers are too large for the caches.
pub(super) fn is_far(size: usize) -> bool {
    size >= FAR
}

/// Returns the distance to the tile `COLUMNS` further on in `columns`, or at their beginning in the
/// next four rows of an array with rows of `width` numbers.
#[inline(always)]
pub(super) fn distance(place: Place, columns: &Range<usize>, width: usize) -> usize {
    if place.column + COLUMNS < columns.end {
        COLUMNS
    } else {
        (TILE * width + columns.start + COLUMNS).saturating_sub(columns.end)
    }
}

/// Prefetches `x` at `at` for reading.
#[inline(always)]
pub(super) fn to_read<S: Simd, T>(simd: S, x: &[T], at: usize) {
    simd.prefetch_read(x.as_ptr().wrapping_add(at.min(x.len().saturating_sub(1))));
}

/// Prefetches `x` at `at` for writing.
#[inline(always)]
pub(super) fn to_write<S: Simd, T>(simd: S, x: SharedMut<'_, T>, at: usize) {
    simd.prefetch_write(x.address(at));
}
