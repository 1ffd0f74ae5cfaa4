//! The forward pass: samples, statistics and KL in one pass. The module documentation of `unit` has
//! the steps.
//!
//! There are three paths: strips of rows (`strip.rs`) for one sample per posterior; tiles for
//! several samples or for a posterior that all rows share; and partial tiles at the right and lower
//! edge.

use super::ahead;
use super::chunks::Grid;
use super::merge::{merge, merge_chunks, weights};
use super::strip::{STRIP, Strip};
use super::{LogVar, Place, Source, TILE, Units, limit, load, store};
use crate::element::Element;
use crate::extent::Extent;
use crate::families::gaussian;
use crate::parallel::{SharedMut, for_each};
use crate::real::Real;
use crate::simd::{LANES, Simd};
use crate::{dispatch, load_partial, store_partial, with_scratch};
use std::ops::Range;

/// The outputs of the forward pass.
#[derive(Debug)]
pub struct UnitOutputs<'a, T> {
    /// The samples, `[samples, rows, columns]`.
    pub z: &'a mut [T],
    /// `M1`, the mean of `mu` over rows, `[columns]`.
    pub m1: &'a mut [T],
    /// `M2`, the mean of `mu^2`, `[columns]`.
    pub m2: &'a mut [T],
    /// `C2`, the variance of `mu` over rows, `[columns]`; never negative.
    pub c2: &'a mut [T],
    /// `D0`, the mean of `sigma^2 - 1 - logvar`, `[columns]`; never negative.
    pub d0: &'a mut [T],
    /// `Lv`, the mean of the limited `logvar`, `[columns]`.
    pub lv: &'a mut [T],
    /// The KL to the standard normal in nats, `[rows, columns]`; `None` if not needed.
    pub kl: Option<&'a mut [T]>,
}

/// The number of partial statistics: mean of mu, sum of squared deviations, sum of spread, sum of
/// logvar.
pub(super) const KINDS: usize = 4;

/// Samples every posterior and computes the statistics of every column, in one pass.
///
/// Without rows the statistics are NaN (a mean over nothing).
///
/// # Panics
/// Panics if a slice does not have the length of its shape, there are no samples, or there are more
/// positions than the noise has.
///
/// ```
/// use vdn_tensor::kernels::unit::{LogVar, UnitNoise, UnitOutputs, Units, unit_forward};
/// use vdn_tensor::noise::NoiseKey;
/// let mu = [1.0_f32, -1.0];                 // two rows, one unit
/// let units = Units {
///     rows: 2, columns: 1, samples: 1, mu: &mu, logvar: LogVar::Scalar(0.0),
///     noise: UnitNoise::Addressed(NoiseKey::new(1, 0, 0)), antithetic: false,
/// };
/// let (mut z, mut s) = ([0.0; 2], [[0.0; 1]; 5]);
/// let [m1, m2, c2, d0, lv] = &mut s;
/// unit_forward(&units, UnitOutputs { z: &mut z, m1, m2, c2, d0, lv, kl: None });
/// assert_eq!((s[0][0], s[1][0], s[2][0], s[3][0]), (0.0, 1.0, 1.0, 0.0));
/// ```
pub fn unit_forward<T: Element>(units: &Units<'_, T>, outputs: UnitOutputs<'_, T>) {
    T::unit_forward(units, outputs)
}

/// The body of [`unit_forward`].
pub(crate) fn unit_forward_body<T: Element>(units: &Units<'_, T>, outputs: UnitOutputs<'_, T>) {
    let extents = units.check();
    let Units { rows, columns, .. } = *units;
    let UnitOutputs { z, m1, m2, c2, d0, lv, kl } = outputs;
    for (name, x) in [("m1", &m1), ("m2", &m2), ("c2", &c2), ("d0", &d0), ("lv", &lv)] {
        extents.columns.check(name, x);
    }
    let z = extents.samples.share("z", z);
    let kl = kl.map(|kl| extents.layer.share("kl", kl));
    let grid = Grid::new(rows, columns);
    let broadcast = units.broadcast();
    let table_len = if broadcast { POSTERIOR * columns } else { 0 };
    let source = units.source();
    let far = !broadcast && ahead::is_far(rows * columns);
    with_scratch(table_len + grid.chunks.max(1) * KINDS * columns, |scratch: &mut [T]| {
        let (table, partials) = scratch.split_at_mut(table_len);
        if broadcast {
            dispatch!(for T, simd => posteriors(simd, units, table));
        }
        let table = &*table;
        let extent = Extent::new("sample_kl", [grid.chunks.max(1), KINDS, columns]);
        let shared = extent.share("the partial sums", &mut *partials);
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            let work =
                Task { units: *units, source: &source, table, z, kl, partials: shared, chunk, far };
            if broadcast {
                dispatch!(for T, simd => work.run::<_, true>(simd, rows, columns));
            } else {
                dispatch!(for T, simd => work.run::<_, false>(simd, rows, columns));
            }
        });
        merge_chunks(partials, &grid, KINDS, columns, true);
        let n = T::from_f64(rows as f64);
        for c in 0..columns {
            let [mean, squares, spread, logvar] = [0, 1, 2, 3].map(|k| partials[k * columns + c]);
            m1[c] = if rows == 0 { T::from_f64(f64::NAN) } else { mean };
            c2[c] = squares / n;
            m2[c] = m1[c] * m1[c] + c2[c];
            // A mean of equal numbers is that number.
            (d0[c], lv[c]) = if broadcast && rows > 0 {
                (table[columns + c], table[2 * columns + c])
            } else {
                (spread / n, logvar / n)
            };
        }
    });
}

/// The number of values per column of a posterior that all rows share: sigma, spread, limited
/// logvar.
const POSTERIOR: usize = 3;

#[inline(always)]
fn posteriors<S: Simd, T: Element>(simd: S, units: &Units<'_, T>, table: &mut [T]) {
    let columns = units.columns;
    for column in (0..columns).step_by(LANES) {
        let width = LANES.min(columns - column);
        let logvar = limit(units.logvar(simd, 0, column, width));
        let [sigma, _, spread] = gaussian::scale(logvar);
        for (k, x) in [sigma, spread, logvar].into_iter().enumerate() {
            store_partial(x, &mut table[k * columns + column..][..width]);
        }
    }
}

/// One task: some rows of some columns. It is passed from function to function by value. Behind a
/// reference the compiler would read it again after every store.
#[derive(Clone, Copy)]
pub(super) struct Task<'a, T> {
    pub(super) units: Units<'a, T>,
    pub(super) source: &'a Source<'a, T>,
    /// The table `[POSTERIOR, columns]`, if all rows have the same posterior.
    table: &'a [T],
    pub(super) z: SharedMut<'a, T>,
    pub(super) kl: Option<SharedMut<'a, T>>,
    pub(super) partials: SharedMut<'a, T>,
    pub(super) chunk: usize,
    /// Whether memory is prefetched.
    pub(super) far: bool,
}

/// One tile, and the weights for [`merge`] with the rows before it.
#[derive(Clone, Copy)]
pub(super) struct Tile<L> {
    pub(super) place: Place,
    /// The number of rows of the chunk before this tile.
    pub(super) seen: usize,
    /// 1 over the number of rows of the tile.
    pub(super) inverse: L,
    pub(super) share: L,
    pub(super) weight: L,
}

impl<T: Element> Task<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const BROADCAST: bool>(
        self,
        simd: S,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let by_rows = !BROADCAST && self.units.samples == 1;
        let mut strip = by_rows.then(Strip::new);
        for row in rows.clone().step_by(TILE) {
            let height = TILE.min(rows.end - row);
            let seen = row - rows.start;
            let [share, weight] = weights(seen, height);
            let mut tile = Tile {
                place: Place { row, column: columns.start, height, width: LANES },
                seen,
                inverse: T::splat(simd, T::from_f64(1.0 / height as f64)),
                share: T::splat(simd, T::from_f64(share)),
                weight: T::splat(simd, T::from_f64(weight)),
            };
            if let (TILE, Some(strip)) = (height, &mut strip) {
                while tile.place.column + LANES <= columns.end {
                    let width = STRIP.min((columns.end - tile.place.column) / LANES * LANES);
                    tile.place.width = width;
                    self.strip(simd, tile, &columns, strip);
                    tile.place.column += width;
                }
            } else if height == TILE {
                while tile.place.column + LANES <= columns.end {
                    if !BROADCAST && self.far {
                        self.ask(simd, tile.place, &columns);
                    }
                    self.tile::<S, true, BROADCAST>(simd, tile);
                    tile.place.column += LANES;
                }
            }
            while tile.place.column < columns.end {
                tile.place.width = LANES.min(columns.end - tile.place.column);
                self.tile::<S, false, BROADCAST>(simd, tile);
                tile.place.column += LANES;
            }
        }
    }

    /// Prefetches a tile further on in `block`.
    #[inline(always)]
    fn ask<S: Simd>(self, simd: S, place: Place, block: &Range<usize>) {
        let Units { rows, columns, samples, mu, .. } = self.units;
        let further = ahead::distance(place, block, columns);
        for r in 0..TILE {
            let at = (place.row + r) * columns + place.column + further;
            ahead::to_read(simd, mu, at);
            if let LogVar::PerElement(logvar) = self.units.logvar {
                ahead::to_read(simd, logvar, at);
            }
            for s in 0..samples {
                ahead::to_write(simd, self.z, s * rows * columns + at);
            }
        }
    }

    /// Samples a tile, `WHOLE` if it has four rows of sixteen columns, and adds its statistics to
    /// those of its columns.
    #[inline(always)]
    fn tile<S: Simd, const WHOLE: bool, const BROADCAST: bool>(
        self,
        simd: S,
        tile: Tile<T::Lanes<S>>,
    ) {
        let Place { row, column, height, width } = tile.place;
        let height = if WHOLE { TILE } else { height };
        let units = self.units;
        let columns = units.columns;
        let zero = T::splat(simd, T::ZERO);
        // The first sample, usually the only one, takes its noise first, so that each row's
        // posterior is used where it is computed.
        let mut noise = self.source.normals::<S, WHOLE>(simd, 0, tile.place);
        let (mut mu, mut sigma) = ([zero; TILE], [zero; TILE]);
        let (mut spread_sum, mut logvar_sum) = (zero, zero);
        let mut spread = zero;
        if BROADCAST {
            // SAFETY: the table has `columns` of each kind, and the place lies in the shape.
            unsafe {
                sigma = [load::<S, T, WHOLE>(simd, self.table, column, width); TILE];
                spread = load::<S, T, WHOLE>(simd, self.table, columns + column, width);
            }
        }
        for r in 0..height {
            let at = (row + r) * columns + column;
            // SAFETY: `Units::check` has compared all lengths with the shape, and the place lies in
            // it.
            mu[r] = unsafe { load::<S, T, WHOLE>(simd, units.mu, at, width) };
            if let (false, LogVar::PerElement(logvar)) = (BROADCAST, units.logvar) {
                // SAFETY: as above.
                let logvar = limit(unsafe { load::<S, T, WHOLE>(simd, logvar, at, width) });
                [sigma[r], _, spread] = gaussian::scale(logvar);
                spread_sum = spread_sum + spread;
                logvar_sum = logvar_sum + logvar;
            }
            // SAFETY: as above; this task alone has these rows and columns.
            unsafe {
                let z = gaussian::sample(mu[r], sigma[r], noise[r]);
                store::<_, T, WHOLE>(z, self.z, at, width);
                if let Some(kl) = self.kl {
                    store::<_, T, WHOLE>(gaussian::kl_standard(mu[r], spread), kl, at, width);
                }
            }
        }
        for s in 1..units.samples {
            if units.antithetic && s % 2 == 1 {
                for x in &mut noise {
                    *x = -*x;
                }
            } else {
                noise = self.source.normals::<S, WHOLE>(simd, s, tile.place);
            }
            for r in 0..height {
                let at = (s * units.rows + row + r) * columns + column;
                let z = gaussian::sample(mu[r], sigma[r], noise[r]);
                // SAFETY: as above.
                unsafe { store::<_, T, WHOLE>(z, self.z, at, width) };
            }
        }
        let mut mean = mu[0];
        for r in 1..height {
            mean = mean + mu[r];
        }
        mean = mean * tile.inverse;
        let mut squares = zero;
        for r in 0..height {
            squares = (mu[r] - mean).mul_add(mu[r] - mean, squares);
        }
        let kinds = if BROADCAST { 2 } else { KINDS };
        let mut sums = [mean, squares, spread_sum, logvar_sum];
        let first = self.chunk * KINDS * columns + column;
        if tile.seen > 0 {
            let mut old = sums;
            for (kind, old) in old.iter_mut().enumerate().take(kinds) {
                // SAFETY: the chunk and the columns are those of this task alone.
                let part = unsafe {
                    self.partials.part(first + kind * columns..first + kind * columns + width)
                };
                *old = load_partial(simd, part, T::ZERO);
            }
            let [mean, squares] =
                merge([old[0], old[1]], [sums[0], sums[1]], tile.share, tile.weight);
            sums = [mean, squares, old[2] + sums[2], old[3] + sums[3]];
        }
        for (kind, sum) in sums.into_iter().enumerate().take(kinds) {
            // SAFETY: as above.
            unsafe { store::<_, T, WHOLE>(sum, self.partials, first + kind * columns, width) };
        }
    }
}
