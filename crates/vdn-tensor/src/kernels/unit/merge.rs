//! The combination of the partial statistics of row chunks, pairwise in a fixed tree.
//!
//! Chunk 0 absorbs chunk 1, chunk 2 absorbs chunk 3, and so on; then chunk 0 absorbs chunk 2, until
//! chunk 0 holds everything. The order depends only on the number of chunks, so any number of
//! threads gives the same bits.

use super::chunks::Grid;
use crate::element::Element;
use crate::real::Real;

/// Returns the mean and the sum of squared deviations of two groups together (Chan, Golub and
/// LeVeque 1983).
///
/// `share` is the second group's share of all rows; `weight` is the product of both sizes over
/// their sum.
#[inline(always)]
pub(super) fn merge<R: Real>(first: [R; 2], second: [R; 2], share: R, weight: R) -> [R; 2] {
    let delta = second[0] - first[0];
    let mean = delta.mul_add(share, first[0]);
    let squares = (delta * delta).mul_add(weight, first[1] + second[1]);
    [mean, squares]
}

/// Returns `(share, weight)` of [`merge`] for groups of these sizes.
pub(super) fn weights(first: usize, second: usize) -> [f64; 2] {
    let (a, b) = (first as f64, second as f64);
    [b / (a + b), a * b / (a + b)]
}

/// Merges all row chunks of `partials [chunks, kinds, columns]` into chunk 0. With `moments`, the
/// first two kinds are a mean and a sum of squared deviations; the others are sums.
pub(super) fn merge_chunks<T: Element>(
    partials: &mut [T],
    grid: &Grid,
    kinds: usize,
    columns: usize,
    moments: bool,
) {
    let size = kinds * columns;
    let rows = |from: usize, count: usize| -> usize {
        (from..(from + count).min(grid.chunks)).map(|c| grid.rows_of(c).len()).sum()
    };
    let mut step = 1;
    while step < grid.chunks {
        let mut left = 0;
        while left + step < grid.chunks {
            let right = left + step;
            let (head, tail) = partials.split_at_mut(right * size);
            let (to, from) = (&mut head[left * size..(left + 1) * size], &tail[..size]);
            let mut sums_from = 0;
            if moments {
                let [share, weight] = weights(rows(left, step), rows(right, step)).map(T::from_f64);
                for c in 0..columns {
                    let delta = from[c] - to[c];
                    to[c] += delta * share;
                    let squares = to[columns + c] + from[columns + c];
                    to[columns + c] = squares + delta * delta * weight;
                }
                sums_from = 2 * columns;
            }
            for (t, &f) in to[sums_from..].iter_mut().zip(&from[sums_from..]) {
                *t += f;
            }
            left += 2 * step;
        }
        step *= 2;
    }
}
