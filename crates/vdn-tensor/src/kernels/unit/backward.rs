//! The adjoint: gradients of the means and log-variances from those of the samples, the statistics and the KL.
//!
//! No noise is stored. `sigma eps` is `z - mu` where that is accurate, and regenerated from the counter elsewhere. The
//! choice is made per lane group: `z - mu` where `|mu| <= 4 sigma` on all its lanes. There `z` was rounded by at most
//! `u |z| <= u sigma (4 + |eps|)` (u = 2^-24 in `f32`), and the subtraction rounds by `u sigma |eps|`: the error of
//! `sigma eps` is at most `u sigma (4 + 2 |eps|)`, a few rounding errors of its own typical size.

use super::chunks::Grid;
use super::merge::merge_chunks;
use super::{ClampGradient, LogVar, TILE, Units, limit};
use crate::element::Element;
use crate::families::gaussian::{self, LOGVAR_MAX, LOGVAR_MIN};
use crate::parallel::{SharedMut, for_each};
use crate::real::{Mask, Real};
use crate::simd::{LANES, Simd};
use crate::{dispatch, load_partial, store_partial, with_scratch};
use std::ops::Range;

/// What flows back: `None` means that nothing depends on that output.
#[derive(Clone, Copy, Debug)]
pub struct UnitGradients<'a, T> {
    /// The samples of the forward pass, `[samples, rows, columns]`.
    pub z: &'a [T],
    /// `M1` of the forward pass, `[columns]`.
    pub m1: &'a [T],
    /// Gradient of the samples, `[samples, rows, columns]`.
    pub d_z: Option<&'a [T]>,
    /// Gradient of `M1`, `[columns]`.
    pub d_m1: Option<&'a [T]>,
    /// Gradient of `M2`, `[columns]`.
    pub d_m2: Option<&'a [T]>,
    /// Gradient of `C2`, `[columns]`.
    pub d_c2: Option<&'a [T]>,
    /// Gradient of `D0`, `[columns]`.
    pub d_d0: Option<&'a [T]>,
    /// Gradient of `Lv`, `[columns]`.
    pub d_lv: Option<&'a [T]>,
    /// Gradient of the KL, `[rows, columns]`.
    pub d_kl: Option<&'a [T]>,
    /// What to do outside the limits of `logvar`.
    pub clamp: ClampGradient,
}

/// Per-column factors, already divided by the number of rows: of 1, of `2 mu`, of `2 (mu - M1)` in the gradient of
/// `mu`; of `sigma^2 - 1`, of 1 in the gradient of `logvar`.
const FACTORS: usize = 5;

/// Writes the gradients of `mu` (`[rows, columns]`) and of `logvar` (its own shape: summed over what was broadcast).
///
/// # Panics
/// A slice does not have the length its shape asks for.
pub fn unit_backward<T: Element>(
    units: &Units<'_, T>,
    gradients: &UnitGradients<'_, T>,
    d_mu: Option<&mut [T]>,
    d_logvar: Option<&mut [T]>,
) {
    T::unit_backward(units, gradients, d_mu, d_logvar)
}

/// The body of [`unit_backward`].
pub(crate) fn unit_backward_body<T: Element>(
    units: &Units<'_, T>,
    gradients: &UnitGradients<'_, T>,
    d_mu: Option<&mut [T]>,
    d_logvar: Option<&mut [T]>,
) {
    units.check();
    let Units { rows, columns, samples, .. } = *units;
    let size = rows * columns;
    for z in [Some(gradients.z), gradients.d_z].into_iter().flatten() {
        assert_eq!(z.len(), samples * size, "sample_kl: z is not [{samples}, {rows}, {columns}]");
    }
    let UnitGradients { d_m1, d_m2, d_c2, d_d0, d_lv, .. } = *gradients;
    let per_column = [d_m1, d_m2, d_c2, d_d0, d_lv];
    for g in per_column.into_iter().flatten().chain([gradients.m1]) {
        assert_eq!(g.len(), columns, "sample_kl: a statistic's gradient is not [{columns}]");
    }
    if let Some(d_kl) = gradients.d_kl {
        assert_eq!(d_kl.len(), size, "sample_kl: the KL's gradient is not [{rows}, {columns}]");
    }
    if let Some(d_mu) = &d_mu {
        assert_eq!(d_mu.len(), size, "sample_kl: the gradient of mu is not [{rows}, {columns}]");
    }
    let grid = Grid::new(rows, columns);
    let broadcast = units.broadcast();
    let partial_len = if broadcast { grid.chunks.max(1) * columns } else { 0 };
    with_scratch(FACTORS * columns + partial_len, |scratch: &mut [T]| {
        let (factors, partials) = scratch.split_at_mut(FACTORS * columns);
        for (kind, g) in per_column.into_iter().enumerate() {
            let scale = [1.0, 2.0, 2.0, 1.0, 1.0][kind] / rows as f64;
            let to = &mut factors[kind * columns..][..columns];
            match g {
                Some(g) => {
                    to.iter_mut().zip(g).for_each(|(to, &g)| *to = g * T::from_f64(scale));
                }
                None => to.fill(T::ZERO),
            }
        }
        if broadcast {
            partials.fill(T::ZERO);
        }
        let mut d_logvar = d_logvar;
        let work = Task {
            units,
            gradients,
            factors,
            d_mu: d_mu.map(SharedMut::new),
            d_logvar: match &mut d_logvar {
                _ if broadcast => Some(SharedMut::new(&mut *partials)),
                Some(d) => {
                    assert_eq!(
                        d.len(),
                        size,
                        "sample_kl: the gradient of logvar is not [{rows}, {columns}]"
                    );
                    Some(SharedMut::new(d))
                }
                None => None,
            },
        };
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            dispatch!(for T, simd => work.run(simd, chunk, rows, columns));
        });
        if let (true, Some(d_logvar)) = (broadcast, d_logvar) {
            merge_chunks(partials, &grid, 1, columns, false);
            reduce_broadcast(units, &partials[..columns], gradients.clamp, d_logvar);
        }
    });
}

/// The gradient of a `logvar` that was the same for all rows: the limits' mask comes after the sum.
fn reduce_broadcast<T: Element>(
    units: &Units<'_, T>,
    sums: &[T],
    clamp: ClampGradient,
    to: &mut [T],
) {
    let masked = |logvar: T, gradient: T| {
        let d = mask::<f64>(logvar.to_f64(), gradient.to_f64(), clamp);
        T::from_f64(d)
    };
    match units.logvar {
        LogVar::PerElement(_) => unreachable!("not broadcast"),
        LogVar::PerColumn(logvar) => {
            assert_eq!(
                to.len(),
                logvar.len(),
                "sample_kl: the gradient of logvar is not [{}]",
                logvar.len()
            );
            for ((to, &g), &l) in to.iter_mut().zip(sums).zip(logvar) {
                *to = masked(l, g);
            }
        }
        LogVar::Scalar(logvar) => {
            assert_eq!(to.len(), 1, "sample_kl: the gradient of a scalar logvar is one number");
            // The sum over columns in double precision: its order is fixed, its rounding negligible.
            let total: f64 = sums.iter().map(|g| g.to_f64()).sum();
            to[0] = masked(logvar, T::from_f64(total));
        }
    }
}

/// The gradient that passes the limits of `logvar`. NaN passes.
#[inline(always)]
fn mask<R: Real>(logvar: R, gradient: R, clamp: ClampGradient) -> R {
    let zero = gradient.lit(0.0);
    let above = logvar.gt(logvar.lit(LOGVAR_MAX));
    let below = logvar.lt(logvar.lit(LOGVAR_MIN));
    let stopped = match clamp {
        ClampGradient::Zero => above | below,
        ClampGradient::Inward => (above & gradient.le(zero)) | (below & gradient.ge(zero)),
    };
    R::select(stopped, zero, gradient)
}

struct Task<'a, T> {
    units: &'a Units<'a, T>,
    gradients: &'a UnitGradients<'a, T>,
    factors: &'a [T],
    d_mu: Option<SharedMut<'a, T>>,
    /// Of the elements, or partial sums `[chunks, columns]` where `logvar` was broadcast.
    d_logvar: Option<SharedMut<'a, T>>,
}

impl<T: Element> Task<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, chunk: usize, rows: Range<usize>, columns: Range<usize>) {
        for row in rows.clone().step_by(TILE) {
            let height = TILE.min(rows.end - row);
            for column in columns.clone().step_by(LANES) {
                let width = LANES.min(columns.end - column);
                let sum = match height {
                    // The whole tile, nearly always: its width is then a constant.
                    4 if width == LANES => self.tile::<S, 4>(simd, row, column, LANES),
                    4 => self.tile::<S, 4>(simd, row, column, width),
                    3 => self.tile::<S, 3>(simd, row, column, width),
                    2 => self.tile::<S, 2>(simd, row, column, width),
                    _ => self.tile::<S, 1>(simd, row, column, width),
                };
                if let (true, Some(partials)) = (self.units.broadcast(), self.d_logvar) {
                    let at = chunk * self.units.columns + column;
                    // SAFETY: this task alone has this chunk and these columns.
                    let to = unsafe { partials.part(at..at + width) };
                    let old = load_partial(simd, to, T::ZERO);
                    store_partial(old + sum, to);
                }
            }
        }
    }

    /// The gradients of `R` rows of a lane group; returns the sum of those of `logvar` over the rows.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        width: usize,
    ) -> T::Lanes<S> {
        let units = self.units;
        let zero = T::splat(simd, T::ZERO);
        let mut mu = [zero; R];
        let mut scales = [[zero; 3]; R];
        let mut logvar = [zero; R];
        for r in 0..R {
            let at = (row + r) * units.columns + column;
            mu[r] = load_partial(simd, &units.mu[at..at + width], T::ZERO);
            logvar[r] = units.logvar(simd, row + r, column, width);
            scales[r] = if r > 0 && units.broadcast() {
                scales[0]
            } else {
                gaussian::scale(limit(logvar[r]))
            };
        }
        let [sum, spread] = self.sum_samples::<S, R>(simd, [row, column, width], mu, scales);

        // A loop, not `array::from_fn`: the standard library's closures are not inlined into the level's code.
        let mut factor = [zero; FACTORS];
        for (kind, f) in factor.iter_mut().enumerate() {
            let at = kind * units.columns + column;
            *f = load_partial(simd, &self.factors[at..at + width], T::ZERO);
        }
        let m1 = load_partial(simd, &self.gradients.m1[column..column + width], T::ZERO);
        let half = zero.lit(0.5);
        let mut total = zero;
        for r in 0..R {
            let at = (row + r) * units.columns + column;
            let minus_one = scales[r][1];
            let mut d_mu = sum[r] + factor[0];
            d_mu = mu[r].mul_add(factor[1], d_mu);
            d_mu = (mu[r] - m1).mul_add(factor[2], d_mu);
            let mut d_logvar = spread[r].mul_add(half, factor[4]);
            d_logvar = minus_one.mul_add(factor[3], d_logvar);
            if let Some(d_kl) = self.gradients.d_kl {
                let g = load_partial(simd, &d_kl[at..at + width], T::ZERO);
                d_mu = g.mul_add(mu[r], d_mu);
                d_logvar = (g * half).mul_add(minus_one, d_logvar);
            }
            if let Some(to) = self.d_mu {
                // SAFETY: this task alone has these rows and columns.
                store_partial(d_mu, unsafe { to.part(at..at + width) });
            }
            if units.broadcast() {
                total = total + d_logvar;
            } else if let Some(to) = self.d_logvar {
                let masked = mask(logvar[r], d_logvar, self.gradients.clamp);
                // SAFETY: this task alone has these rows and columns.
                store_partial(masked, unsafe { to.part(at..at + width) });
            }
        }
        total
    }

    /// `sum_s dz_s` and `sum_s dz_s sigma eps_s` for each row.
    #[inline(always)]
    fn sum_samples<S: Simd, const R: usize>(
        &self,
        simd: S,
        [row, column, width]: [usize; 3],
        mu: [T::Lanes<S>; R],
        scales: [[T::Lanes<S>; 3]; R],
    ) -> [[T::Lanes<S>; R]; 2] {
        let units = self.units;
        let zero = T::splat(simd, T::ZERO);
        let (mut sum, mut spread) = ([zero; R], [zero; R]);
        let Some(d_z) = self.gradients.d_z else { return [sum, spread] };
        let mut accurate = [true; R];
        for r in 0..R {
            accurate[r] = mu[r].abs().le(scales[r][0] * zero.lit(4.0)).all();
        }
        let all_accurate = accurate == [true; R];
        for s in 0..units.samples {
            let mut noise = [zero; TILE];
            if !all_accurate {
                let (base, odd) = if units.antithetic { (s / 2, s % 2 == 1) } else { (s, false) };
                noise = units.normals(simd, base, row, column, width);
                if odd {
                    for x in &mut noise {
                        *x = -*x;
                    }
                }
            }
            for r in 0..R {
                let at = (s * units.rows + row + r) * units.columns + column;
                let g = load_partial(simd, &d_z[at..at + width], T::ZERO);
                let deviation = if accurate[r] {
                    load_partial(simd, &self.gradients.z[at..at + width], T::ZERO) - mu[r]
                } else {
                    scales[r][0] * noise[r]
                };
                sum[r] = sum[r] + g;
                spread[r] = g.mul_add(deviation, spread[r]);
            }
        }
        [sum, spread]
    }
}
