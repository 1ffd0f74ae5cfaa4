//! The tasks of the backward pass: rows of lane groups, and tiles whose noise is regenerated.
//!
//! Noise is generated for four rows at a time, but memory is best read row by row. The pass
//! therefore goes row by row first, and takes `sigma eps` from `z - mu`. It marks the few lane
//! groups where this is not accurate, and processes them in a second sweep, tile by tile, with
//! regenerated noise.

use super::backward::{FACTORS, UnitGradients};
use super::chunks::BLOCK;
use super::{ClampGradient, Place, Source, TILE, Units, limit, load, store};
use crate::element::Element;
use crate::families::gaussian::{self, LOGVAR_MAX, LOGVAR_MIN};
use crate::parallel::SharedMut;
use crate::real::{Mask, Real};
use crate::simd::{LANES, Simd};
use crate::{load_partial, store_partial};
use std::ops::Range;

/// Returns the gradient that passes the limits of `logvar`. NaN passes.
#[inline(always)]
pub(super) fn mask<R: Real>(logvar: R, gradient: R, clamp: ClampGradient) -> R {
    let zero = gradient.lit(0.0);
    let above = logvar.gt(logvar.lit(LOGVAR_MAX));
    let below = logvar.lt(logvar.lit(LOGVAR_MIN));
    let stopped = match clamp {
        ClampGradient::Zero => above | below,
        ClampGradient::Inward => (above & gradient.le(zero)) | (below & gradient.ge(zero)),
    };
    R::select(stopped, zero, gradient)
}

#[derive(Clone, Copy)]
pub(super) struct Task<'a, T> {
    pub(super) units: Units<'a, T>,
    /// The log-variances, unless all rows have the same posterior.
    pub(super) logvar: &'a [T],
    pub(super) source: &'a Source<'a, T>,
    pub(super) gradients: UnitGradients<'a, T>,
    pub(super) factors: &'a [T],
    /// The table `[POSTERIOR, columns]`, if all rows have the same posterior.
    pub(super) table: &'a [T],
    pub(super) d_mu: Option<SharedMut<'a, T>>,
    /// The gradient of each element, or partial sums `[chunks, columns]` if `logvar` was broadcast.
    pub(super) d_logvar: Option<SharedMut<'a, T>>,
}

/// `|mu| <= 4 sigma` holds wherever `mu^2 <= LIMIT p`, with `p` the power of two near `sigma^2`.
/// The limit is `16 / sqrt(2)` less a margin for rounding.
const LIMIT: f64 = 11.3;

impl<T: Element> Task<'_, T> {
    /// Works row by row where possible, so that at most six places in memory are read and written
    /// at a time. Lane groups that need their noise are marked. They are processed afterwards, four
    /// rows at a time, because four rows share the noise.
    #[inline(always)]
    pub(super) fn run<S: Simd, const BROADCAST: bool>(
        self,
        simd: S,
        chunk: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let partials = chunk * self.units.columns;
        for row in rows.clone().step_by(TILE) {
            let height = TILE.min(rows.end - row);
            // Bit `r` of a lane group's entry: row `r` of the group remains to be done.
            let mut left = [0_u8; BLOCK / LANES];
            for r in 0..height {
                let mut place =
                    Place { row: row + r, column: columns.start, height: 1, width: LANES };
                let mut group = 0;
                while place.column + LANES <= columns.end {
                    if !self.plain::<S, BROADCAST>(simd, place, partials) {
                        left[group] |= 1 << r;
                    }
                    place.column += LANES;
                    group += 1;
                }
                if place.column < columns.end {
                    left[group] |= 1 << r;
                }
            }
            for (group, column) in columns.clone().step_by(LANES).enumerate() {
                if left[group] != 0 {
                    let width = LANES.min(columns.end - column);
                    let place = Place { row, column, height, width };
                    self.careful::<S, BROADCAST>(simd, place, left[group], partials);
                }
            }
        }
    }

    /// Processes a lane group of a row, if `z - mu` is accurate and `logvar` is within its limits
    /// on all lanes, which is nearly always the case. It processes one group at a time, because
    /// more do not fit into the registers.
    #[inline(always)]
    fn plain<S: Simd, const BROADCAST: bool>(self, simd: S, place: Place, partials: usize) -> bool {
        let units = self.units;
        let (columns, column) = (units.columns, place.column);
        let at = place.row * columns + column;
        let zero = T::splat(simd, T::ZERO);
        // SAFETY: `Units::check` has compared all lengths with the shape, in which this whole lane
        // group lies; there are `columns` numbers of each kind in the table.
        let (mu, minus_one, power, inside) = unsafe {
            let mu = load::<S, T, true>(simd, units.mu, at, LANES);
            if BROADCAST {
                let minus_one = load::<S, T, true>(simd, self.table, column, LANES);
                let power = load::<S, T, true>(simd, self.table, columns + column, LANES);
                (mu, minus_one, power, zero.le(zero))
            } else {
                let logvar = load::<S, T, true>(simd, self.logvar, at, LANES);
                let [minus_one, power] = logvar.exp_m1_and_power();
                let inside = logvar.ge(zero.lit(LOGVAR_MIN)) & logvar.le(zero.lit(LOGVAR_MAX));
                (mu, minus_one, power, inside)
            }
        };
        if !(inside & (mu * mu).le(power * zero.lit(LIMIT))).all() {
            return false;
        }
        let (mut sum, mut spread) = (zero, zero);
        if let Some(d_z) = self.gradients.d_z {
            let stride = units.rows * columns;
            for s in 0..units.samples {
                // SAFETY: as above, of every sample.
                let [g, z] = unsafe {
                    [
                        load::<S, T, true>(simd, d_z, s * stride + at, LANES),
                        load::<S, T, true>(simd, self.gradients.z, s * stride + at, LANES),
                    ]
                };
                sum = sum + g;
                spread = g.mul_add(z - mu, spread);
            }
        }
        let columns_of = self.columns_of::<S, true>(simd, place);
        let [d_mu, d_logvar] =
            self.finish::<S, true>(simd, place, &columns_of, [mu, minus_one], [sum, spread]);
        // SAFETY: as above; this task alone has these rows and columns, and partial sums.
        unsafe {
            if let Some(to) = self.d_mu {
                store::<_, T, true>(d_mu, to, at, LANES);
            }
            if let Some(to) = self.d_logvar {
                if BROADCAST {
                    let at = partials + column;
                    let sum = T::load(simd, to.array(at)) + d_logvar;
                    store::<_, T, true>(sum, to, at, LANES);
                } else {
                    store::<_, T, true>(d_logvar, to, at, LANES);
                }
            }
        }
        true
    }

    /// Processes the rows of a tile whose bits in `left` are set.
    #[inline(always)]
    fn careful<S: Simd, const BROADCAST: bool>(
        self,
        simd: S,
        place: Place,
        left: u8,
        partials: usize,
    ) {
        let Place { row, column, height, width } = place;
        let units = self.units;
        let columns = units.columns;
        let zero = T::splat(simd, T::ZERO);
        let (mut mu, mut raw) = ([zero; TILE], [zero; TILE]);
        let (mut sigma, mut minus_one) = ([zero; TILE], [zero; TILE]);
        let (mut accurate, mut all_accurate) = ([true; TILE], true);
        for r in 0..height {
            let at = (row + r) * columns + column;
            mu[r] = load_partial(simd, &units.mu[at..at + width], T::ZERO);
            if BROADCAST {
                minus_one[r] = load_partial(simd, &self.table[column..][..width], T::ZERO);
                sigma[r] =
                    load_partial(simd, &self.table[2 * columns + column..][..width], T::ZERO);
            } else {
                raw[r] = units.logvar(simd, row + r, column, width);
                let logvar = limit(raw[r]);
                [minus_one[r], _] = logvar.exp_m1_and_power();
                [sigma[r], ..] = gaussian::scale(logvar);
            }
            accurate[r] = mu[r].abs().le(sigma[r] * zero.lit(4.0)).all();
            all_accurate &= accurate[r] || left >> r & 1 == 0;
        }
        let (mut sum, mut spread) = ([zero; TILE], [zero; TILE]);
        if let Some(d_z) = self.gradients.d_z {
            for s in 0..units.samples {
                let mut noise = [zero; TILE];
                if !all_accurate {
                    noise = self.source.normals_apart(simd, s, place);
                }
                for r in 0..height {
                    let at = (s * units.rows + row + r) * columns + column;
                    let g = load_partial(simd, &d_z[at..at + width], T::ZERO);
                    let deviation = if accurate[r] {
                        load_partial(simd, &self.gradients.z[at..at + width], T::ZERO) - mu[r]
                    } else {
                        sigma[r] * noise[r]
                    };
                    sum[r] = sum[r] + g;
                    spread[r] = g.mul_add(deviation, spread[r]);
                }
            }
        }
        let columns_of = self.columns_of::<S, false>(simd, place);
        let mut total = zero;
        for r in 0..height {
            if left >> r & 1 == 0 {
                continue;
            }
            let at = (row + r) * columns + column;
            let place = Place { row: row + r, ..place };
            let gradients = self.finish::<S, false>(
                simd,
                place,
                &columns_of,
                [mu[r], minus_one[r]],
                [sum[r], spread[r]],
            );
            let [d_mu, d_logvar] = gradients;
            if let Some(to) = self.d_mu {
                // SAFETY: this task alone has these rows and columns.
                store_partial(d_mu, unsafe { to.part(at..at + width) });
            }
            if BROADCAST {
                total = total + d_logvar;
            } else if let Some(to) = self.d_logvar {
                let masked = mask(raw[r], d_logvar, self.gradients.clamp);
                // SAFETY: this task alone has these rows and columns.
                store_partial(masked, unsafe { to.part(at..at + width) });
            }
        }
        if let (true, Some(to)) = (BROADCAST, self.d_logvar) {
            // SAFETY: this task alone has this chunk and these columns.
            let to = unsafe { to.part(partials + column..partials + column + width) };
            store_partial(load_partial(simd, to, T::ZERO) + total, to);
        }
    }

    /// Returns the factors of the columns, and `M1`.
    #[inline(always)]
    fn columns_of<S: Simd, const WHOLE: bool>(
        self,
        simd: S,
        Place { column, width, .. }: Place,
    ) -> [T::Lanes<S>; FACTORS + 1] {
        let mut x = [T::splat(simd, T::ZERO); FACTORS + 1];
        // SAFETY: there are `columns` factors of each kind, and the place lies in the shape.
        unsafe {
            for kind in 0..FACTORS {
                let at = kind * self.units.columns + column;
                x[kind] = load::<S, T, WHOLE>(simd, self.factors, at, width);
            }
            x[FACTORS] = load::<S, T, WHOLE>(simd, self.gradients.m1, column, width);
        }
        x
    }

    /// Returns the gradients of `mu` and `logvar` for one row of a place; the second is not yet
    /// masked by the limits.
    #[inline(always)]
    fn finish<S: Simd, const WHOLE: bool>(
        self,
        simd: S,
        Place { row, column, width, .. }: Place,
        [f1, f2, fc, fd, fl, m1]: &[T::Lanes<S>; FACTORS + 1],
        [mu, minus_one]: [T::Lanes<S>; 2],
        [sum, spread]: [T::Lanes<S>; 2],
    ) -> [T::Lanes<S>; 2] {
        let half = mu.lit(0.5);
        let mut d_mu = mu.mul_add(*f2, sum + *f1);
        if self.gradients.d_c2.is_some() {
            d_mu = (mu - *m1).mul_add(*fc, d_mu);
        }
        let mut d_logvar = minus_one.mul_add(*fd, spread.mul_add(half, *fl));
        if let Some(d_kl) = self.gradients.d_kl {
            let at = row * self.units.columns + column;
            // SAFETY: the length was compared with the shape, and the place lies in it.
            let g = unsafe { load::<S, T, WHOLE>(simd, d_kl, at, width) };
            d_mu = g.mul_add(mu, d_mu);
            d_logvar = (g * half).mul_add(minus_one, d_logvar);
        }
        [d_mu, d_logvar]
    }
}
