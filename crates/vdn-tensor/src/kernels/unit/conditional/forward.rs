//! The forward pass: draws, divergences and their means in one pass.

use super::super::ahead;
use super::super::chunks::Grid;
use super::super::merge::merge_chunks;
use super::super::{Place, Source, TILE, load, store};
use super::{ConditionalUnits, STRIP, TABLE, fill_table, padded, table_at};
use crate::element::Element;
use crate::extent::Extent;
use crate::families::conditional::{distance, divergence};
use crate::parallel::{SharedMut, for_each};
use crate::real::Real;
use crate::simd::{LANES, Simd};
use crate::{dispatch, load_partial, with_scratch};
use std::ops::Range;

/// The outputs of the forward pass.
#[derive(Debug)]
pub struct ConditionalOutputs<'a, T> {
    /// The draws, `[samples, rows, columns]`.
    pub z: &'a mut [T],
    /// The divergence from the prior given the previous latent in nats, `[samples, rows, columns]`;
    /// `None` if not needed.
    pub kl: Option<&'a mut [T]>,
    /// Its mean over samples and rows, `[columns]`.
    pub mean_kl: &'a mut [T],
}

/// Draws from every posterior and computes its divergence from the prior, in one pass.
///
/// # Panics
/// Panics if a slice does not have the length of its shape.
///
/// ```
/// use vdn_tensor::kernels::unit::{ConditionalOutputs, ConditionalUnits, UnitNoise, conditional_forward};
/// use vdn_tensor::noise::NoiseKey;
/// let units = ConditionalUnits {
///     rows: 2, columns: 1, samples: 1, m: &[2.0, 0.0], log_r: &[0.0, f64::INFINITY], previous: &[1.0, 1.0],
///     phi: &[0.5], logvar: &[0.0], noise: UnitNoise::Addressed(NoiseKey::new(1, 0, 0)),
/// };
/// let (mut z, mut kl, mut mean) = ([0.0; 2], [0.0; 2], [0.0; 1]);
/// conditional_forward(&units, ConditionalOutputs { z: &mut z, kl: Some(&mut kl), mean_kl: &mut mean });
/// let want = 0.5 * (2f64.ln() - 0.5 + 0.25 * 1.5 * 1.5); // gain 1/2, e = 3/2
/// assert!((kl[0] - want).abs() < 1e-15 && kl[1] == 0.0 && mean[0] == 0.5 * kl[0]);
/// ```
pub fn conditional_forward<T: Element>(
    units: &ConditionalUnits<'_, T>,
    outputs: ConditionalOutputs<'_, T>,
) {
    T::conditional_forward(units, outputs)
}

/// The body of [`conditional_forward`].
pub(in crate::kernels) fn conditional_forward_body<T: Element>(
    units: &ConditionalUnits<'_, T>,
    outputs: ConditionalOutputs<'_, T>,
) {
    let extents = units.check();
    let ConditionalUnits { rows, columns, samples, .. } = *units;
    let ConditionalOutputs { z, kl, mean_kl } = outputs;
    extents.columns.check("the mean KL", mean_kl);
    let z = extents.samples.share("z", z);
    let kl = kl.map(|kl| extents.samples.share("kl", kl));
    let grid = Grid::new(rows, columns);
    let source = units.source();
    let far = ahead::is_far(units.size());
    with_scratch(TABLE * padded(columns) + grid.chunks.max(1) * columns, |scratch: &mut [T]| {
        let (table, partials) = scratch.split_at_mut(TABLE * padded(columns));
        dispatch!(for T, simd => fill_table(simd, units, table, TABLE, None));
        let extent = Extent::new("structured_step", [grid.chunks.max(1), columns]);
        let shared = extent.share("the partial sums", &mut *partials);
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            let partials = chunk * units.columns;
            let work =
                Task { units: *units, source: &source, table, z, kl, sums: shared, partials, far };
            for first in columns.clone().step_by(STRIP) {
                let (rows, columns) = (rows.clone(), first..columns.end.min(first + STRIP));
                if samples == 1 {
                    dispatch!(for T, simd => work.run::<_, true>(simd, rows, columns));
                } else {
                    dispatch!(for T, simd => work.run::<_, false>(simd, rows, columns));
                }
            }
        });
        merge_chunks(partials, &grid, 1, columns, false);
        let share = T::from_f64(1.0 / (samples * rows) as f64);
        mean_kl.iter_mut().zip(&*partials).for_each(|(to, &sum)| *to = sum * share);
    });
}

/// One task: some rows of some columns.
#[derive(Clone, Copy)]
struct Task<'a, T> {
    units: ConditionalUnits<'a, T>,
    source: &'a Source<'a, T>,
    table: &'a [T],
    z: SharedMut<'a, T>,
    kl: Option<SharedMut<'a, T>>,
    /// The sums of the divergences, `[chunks, columns]`, and the start of this chunk's sums.
    sums: SharedMut<'a, T>,
    partials: usize,
    /// Whether memory is prefetched.
    far: bool,
}

/// The values that all samples of a row share.
#[derive(Clone, Copy)]
struct Row<L> {
    m: L,
    gain: L,
    deviation: L,
    excess: L,
}

impl<T: Element> Task<'_, T> {
    /// `ONE`: there is one sample.
    #[inline(always)]
    fn run<S: Simd, const ONE: bool>(self, simd: S, rows: Range<usize>, columns: Range<usize>) {
        for row in rows.clone().step_by(TILE) {
            let height = TILE.min(rows.end - row);
            let first = row == rows.start;
            let mut place = Place { row, column: columns.start, height, width: LANES };
            if height == TILE {
                while place.column + LANES <= columns.end {
                    if self.far {
                        self.ask(simd, place, &columns);
                    }
                    self.tile::<S, true, ONE>(simd, place, first);
                    place.column += LANES;
                }
            }
            while place.column < columns.end {
                place.width = LANES.min(columns.end - place.column);
                self.tile::<S, false, ONE>(simd, place, first);
                place.column += LANES;
            }
        }
    }

    /// Prefetches a tile further on in `block`.
    #[inline(always)]
    fn ask<S: Simd>(self, simd: S, place: Place, block: &Range<usize>) {
        let units = self.units;
        let further = ahead::distance(place, block, units.columns);
        for r in 0..TILE {
            let at = (place.row + r) * units.columns + place.column + further;
            ahead::to_read(simd, units.m, at);
            ahead::to_read(simd, units.log_r, at);
            for s in 0..units.samples {
                ahead::to_read(simd, units.previous, s * units.size() + at);
                ahead::to_write(simd, self.z, s * units.size() + at);
            }
        }
    }

    /// Processes a tile: `WHOLE` if it has four rows of sixteen columns, `first` if no rows of its
    /// chunk came before.
    #[inline(always)]
    fn tile<S: Simd, const WHOLE: bool, const ONE: bool>(self, simd: S, place: Place, first: bool) {
        let Place { row, column, height, width } = place;
        let height = if WHOLE { TILE } else { height };
        let units = self.units;
        let columns = units.columns;
        let zero = T::splat(simd, T::ZERO);
        // SAFETY: the table was made for these columns.
        let [phi, logvar, scale, precision] = unsafe {
            [
                table_at::<S, T>(simd, self.table, TABLE, column, 0),
                table_at::<S, T>(simd, self.table, TABLE, column, 1),
                table_at::<S, T>(simd, self.table, TABLE, column, 2),
                table_at::<S, T>(simd, self.table, TABLE, column, 3),
            ]
        };
        // The first sample, usually the only one, takes its noise first, so that the values of a
        // row are used where they are computed.
        let mut noise = self.source.normals::<S, WHOLE>(simd, 0, place);
        let mut common = [Row { m: zero, gain: zero, deviation: zero, excess: zero }; TILE];
        let mut sum = zero;
        for r in 0..height {
            let at = (row + r) * columns + column;
            // SAFETY: `check` has compared all lengths with the shape, and the place lies in it.
            let [m, log_r] = unsafe {
                [
                    load::<S, T, WHOLE>(simd, units.m, at, width),
                    load::<S, T, WHOLE>(simd, units.log_r, at, width),
                ]
            };
            let [gain, rest, excess] = (logvar - log_r).gain();
            let own = Row { m, gain, deviation: scale * rest.sqrt(), excess };
            if !ONE {
                common[r] = own;
            }
            sum = sum + self.draw::<S, WHOLE>(simd, at, width, own, noise[r], [phi, precision]);
        }
        if !ONE {
            for s in 1..units.samples {
                noise = self.source.normals::<S, WHOLE>(simd, s, place);
                for r in 0..height {
                    let at = (s * units.rows + row + r) * columns + column;
                    let own = common[r];
                    let kl =
                        self.draw::<S, WHOLE>(simd, at, width, own, noise[r], [phi, precision]);
                    sum = sum + kl;
                }
            }
        }
        let at = self.partials + column;
        if !first {
            // SAFETY: the chunk and the columns are those of this task alone.
            let before = unsafe { self.sums.part(at..at + width) };
            sum = load_partial(simd, before, T::ZERO) + sum;
        }
        // SAFETY: as above.
        unsafe { store::<_, T, WHOLE>(sum, self.sums, at, width) };
    }

    /// Computes a draw at `at`, and its divergence.
    #[inline(always)]
    fn draw<S: Simd, const WHOLE: bool>(
        self,
        simd: S,
        at: usize,
        width: usize,
        row: Row<T::Lanes<S>>,
        noise: T::Lanes<S>,
        [phi, precision]: [T::Lanes<S>; 2],
    ) -> T::Lanes<S> {
        // SAFETY: `check` has compared all lengths with the shape, and the place lies in it; this
        // task alone has these rows and columns.
        unsafe {
            let c = phi * load::<S, T, WHOLE>(simd, self.units.previous, at, width);
            let e = distance(row.gain, row.m, c);
            let kl = divergence(row.gain, e, precision, row.excess);
            let z = row.deviation.mul_add(noise, row.gain.mul_add(e, c));
            store::<_, T, WHOLE>(z, self.z, at, width);
            if let Some(to) = self.kl {
                store::<_, T, WHOLE>(kl, to, at, width);
            }
            kl
        }
    }
}
