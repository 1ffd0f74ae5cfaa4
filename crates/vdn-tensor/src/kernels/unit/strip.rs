//! The forward pass on strips of four rows and up to 256 columns, for one sample and a separate
//! posterior for every element. The noise and the statistics of the means are computed tile by
//! tile, then the posteriors row by row.
//!
//! Reason: rows of 1024 numbers are 4096 bytes apart. The four rows of means, log-variances and
//! samples are then twelve places that share one set of the first-level cache, which holds eight.
//! Row by row there are three.

use super::ahead;
use super::forward::{KINDS, Task, Tile};
use super::merge::merge;
use super::{LogVar, Place, TILE, limit, load, store};
use crate::element::Element;
use crate::families::gaussian;
use crate::real::Real;
use crate::simd::{LANES, Lanes, Simd};
use std::ops::Range;

/// The number of columns of a strip: its noise takes 4 KiB in `f32`.
pub(super) const STRIP: usize = 256;

/// The data that passes from the tiles of a strip to its rows, and from row to row.
pub(super) struct Strip<T> {
    noise: [[[T; LANES]; STRIP / LANES]; TILE],
    spread: [[T; LANES]; STRIP / LANES],
    logvar: [[T; LANES]; STRIP / LANES],
}

impl<T: Element> Strip<T> {
    pub(super) fn new() -> Self {
        let row = [[T::ZERO; LANES]; STRIP / LANES];
        Self { noise: [row; TILE], spread: row, logvar: row }
    }
}

impl<T: Element> Task<'_, T> {
    /// Samples a strip, whose width is a whole number of lane groups, and adds its statistics to
    /// those of its columns.
    #[inline(always)]
    pub(super) fn strip<S: Simd>(
        self,
        simd: S,
        tile: Tile<T::Lanes<S>>,
        block: &Range<usize>,
        strip: &mut Strip<T>,
    ) {
        let Place { row, column, width, .. } = tile.place;
        let columns = self.units.columns;
        let LogVar::PerElement(logvars) = self.units.logvar else {
            unreachable!("a posterior for every element");
        };
        for group in 0..width / LANES {
            let place = Place { column: column + group * LANES, width: LANES, ..tile.place };
            if self.far {
                // Means are needed together with the noise, the other arrays after it.
                let further = ahead::distance(place, block, columns);
                for r in 0..TILE {
                    let at = (row + r) * columns + place.column;
                    ahead::to_read(simd, logvars, at);
                    ahead::to_write(simd, self.z, at);
                    ahead::to_read(simd, self.units.mu, at + further);
                }
            }
            let noise = self.source.normals::<S, true>(simd, 0, place);
            for r in 0..TILE {
                noise[r].store(&mut strip.noise[r][group]);
            }
            self.means(simd, Tile { place, ..tile });
        }
        let partials = (self.chunk * KINDS + 2) * columns + column;
        for r in 0..TILE {
            for group in 0..width / LANES {
                let at = (row + r) * columns + column + group * LANES;
                // SAFETY: `Units::check` has compared all lengths with the shape, in which the
                // strip lies.
                let (mu, logvar) = unsafe {
                    let mu = load::<S, T, true>(simd, self.units.mu, at, LANES);
                    (mu, limit(load::<S, T, true>(simd, logvars, at, LANES)))
                };
                let [sigma, _, spread] = gaussian::scale(logvar);
                let noise = T::load(simd, &strip.noise[r][group]);
                // SAFETY: as above; this task alone has these rows and columns.
                unsafe {
                    let z = gaussian::sample(mu, sigma, noise);
                    store::<_, T, true>(z, self.z, at, LANES);
                    if let Some(kl) = self.kl {
                        store::<_, T, true>(gaussian::kl_standard(mu, spread), kl, at, LANES);
                    }
                }
                let (mut spread_sum, mut logvar_sum) = (spread, logvar);
                if r > 0 {
                    spread_sum = T::load(simd, &strip.spread[group]) + spread;
                    logvar_sum = T::load(simd, &strip.logvar[group]) + logvar;
                }
                if r < TILE - 1 {
                    spread_sum.store(&mut strip.spread[group]);
                    logvar_sum.store(&mut strip.logvar[group]);
                    continue;
                }
                let at = partials + group * LANES;
                // SAFETY: the chunk and the columns are those of this task alone.
                let [spread, logvar] =
                    unsafe { [self.partials.array(at), self.partials.array(at + columns)] };
                if tile.seen > 0 {
                    spread_sum = T::load(simd, spread) + spread_sum;
                    logvar_sum = T::load(simd, logvar) + logvar_sum;
                }
                spread_sum.store(spread);
                logvar_sum.store(logvar);
            }
        }
    }

    /// Adds the mean and the squared deviations of a tile's means to those of its columns.
    #[inline(always)]
    fn means<S: Simd>(self, simd: S, tile: Tile<T::Lanes<S>>) {
        let Place { row, column, .. } = tile.place;
        let columns = self.units.columns;
        let zero = T::splat(simd, T::ZERO);
        let mut mu = [zero; TILE];
        for r in 0..TILE {
            let at = (row + r) * columns + column;
            // SAFETY: `Units::check` has compared the length with the shape, in which the tile
            // lies.
            mu[r] = unsafe { load::<S, T, true>(simd, self.units.mu, at, LANES) };
        }
        let mean = (((mu[0] + mu[1]) + mu[2]) + mu[3]) * tile.inverse;
        let mut squares = zero;
        for r in 0..TILE {
            squares = (mu[r] - mean).mul_add(mu[r] - mean, squares);
        }
        let at = self.chunk * KINDS * columns + column;
        // SAFETY: the chunk and the columns are those of this task alone.
        let to = unsafe { [self.partials.array(at), self.partials.array(at + columns)] };
        let mut sums = [mean, squares];
        if tile.seen > 0 {
            let old = [T::load(simd, to[0]), T::load(simd, to[1])];
            sums = merge(old, sums, tile.share, tile.weight);
        }
        sums[0].store(to[0]);
        sums[1].store(to[1]);
    }
}
