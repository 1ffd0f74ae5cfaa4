//! The adjoint: gradients of messages, previous latents, coefficients and log-variances.
//!
//! No noise is stored. `s sqrt(1 - g) eps` is computed as `z` minus the posterior's mean if that
//! mean is at most 32 deviations from 0 on all lanes of a group; elsewhere the noise is regenerated
//! from its address. `z` was rounded by at most `u |z|` (`u = 2^-24` in `f32`), so the error of the
//! difference is at most `u` times 32 + 2 |eps| deviations: 2e-6 of a deviation. (For the standard
//! prior the limit is 4. The posteriors of a persistent unit are narrower relative to their means,
//! and would exceed that limit nearly always.)

use super::super::chunks::Grid;
use super::super::merge::merge_chunks;
use super::super::{Place, Source, TILE, load, store};
use super::{ConditionalUnits, STRIP, TABLE, fill_table, padded, table_at};
use crate::element::Element;
use crate::extent::Extent;
use crate::families::conditional::{distance, pull};
use crate::parallel::{SharedMut, for_each};
use crate::real::{Mask, Real};
use crate::simd::{LANES, Simd};
use crate::{dispatch, with_scratch};
use std::ops::Range;

/// The inputs and outputs of the backward pass. `None`: nothing depends on an input, or an output
/// is not needed.
#[derive(Debug)]
pub struct ConditionalGradients<'a, T> {
    /// The draws of the forward pass, `[samples, rows, columns]`.
    pub z: &'a [T],
    /// The gradient of the draws, `[samples, rows, columns]`.
    pub d_z: Option<&'a [T]>,
    /// The gradient of the divergences, `[samples, rows, columns]`.
    pub d_kl: Option<&'a [T]>,
    /// The gradient of the mean divergences, `[columns]`.
    pub d_mean_kl: Option<&'a [T]>,
    /// Output: the gradient of `m`, `[rows, columns]`.
    pub d_m: Option<&'a mut [T]>,
    /// Output: the gradient of `log_r`, `[rows, columns]`.
    pub d_log_r: Option<&'a mut [T]>,
    /// Output: the gradient of the previous latents, `[samples, rows, columns]`.
    pub d_previous: Option<&'a mut [T]>,
    /// Output: the gradient of `phi`, `[columns]`.
    pub d_phi: Option<&'a mut [T]>,
    /// Output: the gradient of the prior's log-variance, `[columns]`.
    pub d_logvar: Option<&'a mut [T]>,
}

/// The number of sums over rows: the gradients of `phi` and of `logvar`.
const KINDS: usize = 2;
/// The square of the limit on the mean, in deviations.
const LIMIT: f64 = 1024.0;

/// Computes the gradients.
///
/// # Panics
/// Panics if a slice does not have the length of its shape.
pub fn conditional_backward<T: Element>(
    units: &ConditionalUnits<'_, T>,
    gradients: ConditionalGradients<'_, T>,
) {
    T::conditional_backward(units, gradients)
}

/// The body of [`conditional_backward`].
pub(in crate::kernels) fn conditional_backward_body<T: Element>(
    units: &ConditionalUnits<'_, T>,
    gradients: ConditionalGradients<'_, T>,
) {
    let extents = units.check();
    let ConditionalUnits { rows, columns, samples, .. } = *units;
    let ConditionalGradients { z, d_z, d_kl, d_mean_kl, .. } = gradients;
    let ConditionalGradients { d_m, d_log_r, d_previous, d_phi, d_logvar, .. } = gradients;
    extents.samples.check("z", z);
    extents.samples.check_any("a gradient", [d_z, d_kl]);
    extents.columns.check_any("a gradient", [d_mean_kl, d_phi.as_deref(), d_logvar.as_deref()]);
    let d_m = d_m.map(|d| extents.layer.share("the gradient of m", d));
    let d_log_r = d_log_r.map(|d| extents.layer.share("the gradient of log_r", d));
    let d_previous =
        d_previous.map(|d| extents.samples.share("the gradient of the previous latents", d));
    let grid = Grid::new(rows, columns);
    let groups = padded(columns);
    let source = units.source();
    let kinds = TABLE + 1;
    with_scratch((kinds + grid.chunks.max(1) * KINDS) * groups, |scratch: &mut [T]| {
        let (table, partials) = scratch.split_at_mut(kinds * groups);
        let share = T::from_f64(1.0 / (samples * rows) as f64);
        let last = d_mean_kl.map(|d| (d, share));
        dispatch!(for T, simd => fill_table(simd, units, table, kinds, last));
        partials.fill(T::ZERO);
        let extent = Extent::new("structured_step", [grid.chunks.max(1), KINDS, groups]);
        let work = Task {
            units: *units,
            source: &source,
            table,
            z,
            d_z,
            d_kl,
            d_m,
            d_log_r,
            d_previous,
            sums: extent.share("the partial sums", &mut *partials),
        };
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            for first in columns.clone().step_by(STRIP) {
                let (rows, columns) = (rows.clone(), first..columns.end.min(first + STRIP));
                let partials = chunk * KINDS * groups;
                if samples == 1 {
                    dispatch!(for T, simd => work.run::<_, true>(simd, partials, rows, columns));
                } else {
                    dispatch!(for T, simd => work.run::<_, false>(simd, partials, rows, columns));
                }
            }
        });
        merge_chunks(partials, &grid, KINDS, groups, false);
        for (kind, to) in [d_phi, d_logvar].into_iter().enumerate() {
            for (to, sums) in to
                .into_iter()
                .flat_map(|to| to.chunks_mut(LANES).zip(partials.chunks_exact(KINDS * LANES)))
            {
                let len = to.len();
                to.copy_from_slice(&sums[kind * LANES..][..len]);
            }
        }
    });
}

#[derive(Clone, Copy)]
struct Task<'a, T> {
    units: ConditionalUnits<'a, T>,
    source: &'a Source<'a, T>,
    table: &'a [T],
    z: &'a [T],
    d_z: Option<&'a [T]>,
    d_kl: Option<&'a [T]>,
    d_m: Option<SharedMut<'a, T>>,
    d_log_r: Option<SharedMut<'a, T>>,
    d_previous: Option<SharedMut<'a, T>>,
    /// `[chunks, lane groups, KINDS, LANES]`.
    sums: SharedMut<'a, T>,
}

impl<T: Element> Task<'_, T> {
    /// Works row by row, so that few places in memory are read and written at a time.
    #[inline(always)]
    fn run<S: Simd, const ONE: bool>(
        self,
        simd: S,
        partials: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        for row in rows {
            let mut place = Place { row, column: columns.start, height: 1, width: LANES };
            while place.column + LANES <= columns.end {
                if !self.group::<S, ONE, true, false>(simd, place, partials) {
                    self.group::<S, ONE, false, true>(simd, place, partials);
                }
                place.column += LANES;
            }
            if place.column < columns.end {
                place.width = columns.end - place.column;
                self.group::<S, ONE, false, true>(simd, place, partials);
            }
        }
    }

    /// Processes a lane group of a row. Unless it is `CAREFUL`, it stops if the noise has to be
    /// regenerated; the caller then writes everything again. `ONE`: there is one sample.
    #[inline(always)]
    fn group<S: Simd, const ONE: bool, const WHOLE: bool, const CAREFUL: bool>(
        self,
        simd: S,
        place: Place,
        partials: usize,
    ) -> bool {
        let Place { row, column, width, .. } = place;
        let units = self.units;
        let at = row * units.columns + column;
        // SAFETY: `check` has compared all lengths with the shape, and the place lies in it; the
        // table was made for these columns.
        let [logvar, log_r] = unsafe {
            let log_r = load::<S, T, WHOLE>(simd, units.log_r, at, width);
            [table_at::<S, T>(simd, self.table, TABLE + 1, column, 1), log_r]
        };
        let [gain, rest, _] = (logvar - log_r).gain();
        let first = self.sample::<S, WHOLE, CAREFUL>(simd, place, 0, [gain, rest]);
        let Some([mut d_m, mut d_log_r, mut d_phi, mut d_logvar]) = first else { return false };
        if !ONE {
            for s in 1..units.samples {
                let more = self.sample::<S, WHOLE, CAREFUL>(simd, place, s, [gain, rest]);
                let Some([by_m, by_log_r, by_phi, by_logvar]) = more else { return false };
                d_m = d_m + by_m;
                d_log_r = d_log_r + by_log_r;
                d_phi = d_phi + by_phi;
                d_logvar = d_logvar + by_logvar;
            }
        }
        // SAFETY: as above; this task alone has these rows and columns.
        unsafe {
            if let Some(to) = self.d_m {
                store::<_, T, WHOLE>(d_m, to, at, width);
            }
            if let Some(to) = self.d_log_r {
                store::<_, T, WHOLE>(d_log_r, to, at, width);
            }
        }
        let sums = [d_phi, d_logvar];
        for kind in 0..KINDS {
            let at = partials + column * KINDS + kind * LANES;
            // SAFETY: this task alone has this chunk and these columns.
            unsafe {
                let before = T::load(simd, self.sums.array(at));
                store::<_, T, true>(before + sums[kind], self.sums, at, LANES);
            }
        }
        true
    }

    /// Returns the gradients of message, its log-variance, coefficient and log-variance of the
    /// prior through sample `s`, and writes the gradient of the previous latent. Returns `None` if
    /// the noise has to be regenerated and the call is not `CAREFUL`.
    #[inline(always)]
    fn sample<S: Simd, const WHOLE: bool, const CAREFUL: bool>(
        self,
        simd: S,
        place: Place,
        s: usize,
        [gain, rest]: [T::Lanes<S>; 2],
    ) -> Option<[T::Lanes<S>; 4]> {
        let Place { row, column, width, .. } = place;
        let units = self.units;
        let at = row * units.columns + column;
        let all = s * units.size() + at;
        // SAFETY: as in `group`, which this is a part of.
        unsafe {
            let phi = table_at::<S, T>(simd, self.table, TABLE + 1, column, 0);
            let previous = load::<S, T, WHOLE>(simd, units.previous, all, width);
            let c = phi * previous;
            let e = distance(gain, load::<S, T, WHOLE>(simd, units.m, at, width), c);
            let mean = gain.mul_add(e, c);
            let mut spread = load::<S, T, WHOLE>(simd, self.z, all, width) - mean;
            let scale = table_at::<S, T>(simd, self.table, TABLE + 1, column, 2);
            let accurate = (mean * mean).le(scale * scale * rest * gain.lit(LIMIT));
            if !accurate.all() {
                if !CAREFUL {
                    return None;
                }
                let tile = Place { row: row / TILE * TILE, height: TILE, ..place };
                let tile = Place { height: TILE.min(units.rows - tile.row), ..tile };
                let noise = self.source.normals_apart(simd, s, tile);
                let exact = scale * rest.sqrt() * noise[row % TILE];
                spread = T::Lanes::<S>::select(accurate, spread, exact);
            }
            let mut dk = table_at::<S, T>(simd, self.table, TABLE + 1, column, 4);
            if let Some(d) = self.d_kl {
                dk = dk + load::<S, T, WHOLE>(simd, d, all, width);
            }
            let mut dz = T::splat(simd, T::ZERO);
            if let Some(d) = self.d_z {
                dz = load::<S, T, WHOLE>(simd, d, all, width);
            }
            let precision = table_at::<S, T>(simd, self.table, TABLE + 1, column, 3);
            let [by_m, by_c, by_d, by_scale] = pull([gain, rest], e, precision, spread, [dz, dk]);
            if let Some(to) = self.d_previous {
                store::<_, T, WHOLE>(by_c * phi, to, all, width);
            }
            Some([by_m, -by_d, by_c * previous, by_d + by_scale])
        }
    }
}
