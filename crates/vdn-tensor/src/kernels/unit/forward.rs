//! The forward pass: samples, statistics and KL in one pass.

use super::chunks::Grid;
use super::merge::{merge, merge_chunks, weights};
use super::{TILE, Units, limit};
use crate::element::Element;
use crate::families::gaussian;
use crate::parallel::{SharedMut, for_each};
use crate::real::Real;
use crate::simd::{LANES, Lanes, Simd};
use crate::{dispatch, load_partial, store_partial, with_scratch};
use std::ops::Range;

/// What the forward pass writes.
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
    /// The KL to the standard normal in nats, `[rows, columns]`, where wanted.
    pub kl: Option<&'a mut [T]>,
}

/// Partial statistics: mean of mu, sum of squared deviations, sum of spread, sum of logvar.
const KINDS: usize = 4;

/// Samples every posterior and takes the statistics of every column, in one pass.
///
/// No rows give statistics of NaN (a mean over nothing).
///
/// # Panics
/// A slice does not have the length its shape asks for.
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
    units.check();
    let Units { rows, columns, samples, .. } = *units;
    let UnitOutputs { z, m1, m2, c2, d0, lv, kl } = outputs;
    assert_eq!(
        z.len(),
        samples * rows * columns,
        "sample_kl: z is not [{samples}, {rows}, {columns}]"
    );
    for (name, x) in [("m1", &m1), ("m2", &m2), ("c2", &c2), ("d0", &d0), ("lv", &lv)] {
        assert_eq!(x.len(), columns, "sample_kl: {name} is not [{columns}]");
    }
    if let Some(kl) = &kl {
        assert_eq!(kl.len(), rows * columns, "sample_kl: kl is not [{rows}, {columns}]");
    }
    let grid = Grid::new(rows, columns);
    let z = SharedMut::new(z);
    let kl = kl.map(SharedMut::new);
    with_scratch(grid.chunks.max(1) * KINDS * columns, |partials: &mut [T]| {
        let shared = SharedMut::new(partials);
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            let work = Task { units, z, kl, partials: shared, chunk };
            dispatch!(for T, simd => work.run(simd, rows, columns));
        });
        merge_chunks(partials, &grid, KINDS, columns, true);
        let n = T::from_f64(rows as f64);
        for c in 0..columns {
            let [mean, squares, spread, logvar] = [0, 1, 2, 3].map(|k| partials[k * columns + c]);
            m1[c] = if rows == 0 { T::from_f64(f64::NAN) } else { mean };
            c2[c] = squares / n;
            m2[c] = m1[c] * m1[c] + c2[c];
            d0[c] = spread / n;
            lv[c] = logvar / n;
        }
    });
}

/// One task: some rows of some columns.
struct Task<'a, T> {
    units: &'a Units<'a, T>,
    z: SharedMut<'a, T>,
    kl: Option<SharedMut<'a, T>>,
    partials: SharedMut<'a, T>,
    chunk: usize,
}

/// One tile: at most four rows of at most sixteen columns.
#[derive(Clone, Copy)]
struct Tile<L> {
    row: usize,
    column: usize,
    width: usize,
    /// `1 / R`, and the weights of [`merge`] with the rows before.
    inverse: L,
    share: L,
    weight: L,
}

impl<T: Element> Task<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, rows: Range<usize>, columns: Range<usize>) {
        for row in rows.clone().step_by(TILE) {
            let height = TILE.min(rows.end - row);
            let seen = row - rows.start;
            let [share, weight] = weights(seen, height);
            let inverse = T::splat(simd, T::from_f64(1.0 / height as f64));
            let share = T::splat(simd, T::from_f64(share));
            let weight = T::splat(simd, T::from_f64(weight));
            for column in columns.clone().step_by(LANES) {
                let width = LANES.min(columns.end - column);
                let tile = Tile { row, column, width, inverse, share, weight };
                let sums = match height {
                    // The whole tile, nearly always: its width is then a constant.
                    4 if width == LANES => self.tile::<S, 4>(simd, Tile { width: LANES, ..tile }),
                    4 => self.tile::<S, 4>(simd, tile),
                    3 => self.tile::<S, 3>(simd, tile),
                    2 => self.tile::<S, 2>(simd, tile),
                    _ => self.tile::<S, 1>(simd, tile),
                };
                self.accumulate(simd, sums, tile, seen);
            }
        }
    }

    /// The running statistic `kind` of the lanes from `column`.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "each task has its own part, and uses one at a time")]
    fn part(&self, kind: usize, column: usize, width: usize) -> &mut [T] {
        let start = (self.chunk * KINDS + kind) * self.units.columns + column;
        // SAFETY: this task alone has this chunk and these columns, and drops each part before it takes the next.
        unsafe { self.partials.part(start..start + width) }
    }

    /// Adds a tile's statistics to the running ones of its columns.
    #[inline(always)]
    fn accumulate<S: Simd>(
        &self,
        simd: S,
        sums: [T::Lanes<S>; KINDS],
        tile: Tile<T::Lanes<S>>,
        seen: usize,
    ) {
        let new = if seen == 0 {
            sums
        } else {
            // A loop, not `map`: the standard library's closures are not inlined into the level's code.
            let mut old = sums;
            for (kind, old) in old.iter_mut().enumerate() {
                *old = load_partial(simd, self.part(kind, tile.column, tile.width), T::ZERO);
            }
            let [mean, squares] =
                merge([old[0], old[1]], [sums[0], sums[1]], tile.share, tile.weight);
            [mean, squares, old[2] + sums[2], old[3] + sums[3]]
        };
        for (kind, new) in new.into_iter().enumerate() {
            store_partial(new, self.part(kind, tile.column, tile.width));
        }
    }

    /// Samples `R` rows of a lane group; returns their mean, squared deviations, spread and logvar sums.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(
        &self,
        simd: S,
        tile: Tile<T::Lanes<S>>,
    ) -> [T::Lanes<S>; KINDS] {
        let units = self.units;
        let Tile { row, column, width, .. } = tile;
        let zero = T::splat(simd, T::ZERO);
        // One sample, the usual case: noise first, so that each row's posterior is used where it is computed.
        let mut noise = units.normals(simd, 0, row, column, width);
        let (mut mu, mut sigma) = ([zero; R], [zero; R]);
        let (mut spread_sum, mut logvar_sum) = (zero, zero);
        let broadcast = units.broadcast();
        let mut scale = [zero; 3];
        for r in 0..R {
            let at = (row + r) * units.columns + column;
            mu[r] = load_partial(simd, &units.mu[at..at + width], T::ZERO);
            let logvar = limit(units.logvar(simd, row + r, column, width));
            if r == 0 || !broadcast {
                scale = gaussian::scale(logvar);
            }
            sigma[r] = scale[0];
            spread_sum = spread_sum + scale[2];
            logvar_sum = logvar_sum + logvar;
            self.write_sample(0, [row + r, column, width], [mu[r], sigma[r], noise[r]]);
            if let Some(kl) = self.kl {
                // SAFETY: this task alone has these rows and columns.
                let kl = unsafe { kl.part(at..at + width) };
                store_partial(gaussian::kl_standard(mu[r], scale[2]), kl);
            }
        }
        for s in 1..units.samples {
            if !units.antithetic {
                noise = units.normals(simd, s, row, column, width);
            } else if s % 2 == 0 {
                noise = units.normals(simd, s / 2, row, column, width);
            } else {
                for x in &mut noise {
                    *x = -*x;
                }
            }
            for r in 0..R {
                self.write_sample(s, [row + r, column, width], [mu[r], sigma[r], noise[r]]);
            }
        }
        let mut mean = mu[0];
        for &x in &mu[1..] {
            mean = mean + x;
        }
        mean = mean * tile.inverse;
        let mut squares = zero;
        for x in mu {
            squares = (x - mean).mul_add(x - mean, squares);
        }
        [mean, squares, spread_sum, logvar_sum]
    }

    /// Writes sample `s` of the lanes from `column` of `row`.
    #[inline(always)]
    fn write_sample<L: Lanes<Scalar = T>>(
        &self,
        s: usize,
        [row, column, width]: [usize; 3],
        [mu, sigma, noise]: [L; 3],
    ) {
        let at = (s * self.units.rows + row) * self.units.columns + column;
        // SAFETY: this task alone has these rows and columns.
        let z = unsafe { self.z.part(at..at + width) };
        store_partial(gaussian::sample(mu, sigma, noise), z);
    }
}
