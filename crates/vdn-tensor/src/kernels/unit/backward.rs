//! The adjoint: gradients of the means and log-variances from the gradients of the samples, the
//! statistics and the KL.
//!
//! No noise is stored. `sigma eps` is computed as `z - mu` where that is accurate; elsewhere the
//! noise is regenerated from its address. The choice is made per lane group: `z - mu` is used if
//! `|mu| <= 4 sigma` on all lanes. Then `z` was rounded by at most `u |z| <= u sigma (4 + |eps|)`
//! (`u = 2^-24` in `f32`), and the subtraction rounds by `u sigma |eps|`. The error of `sigma eps`
//! is therefore at most `u sigma (4 + 2 |eps|)`: a few rounding errors of its typical size.

use super::adjoint::{Task, mask};
use super::chunks::Grid;
use super::merge::merge_chunks;
use super::{ClampGradient, LogVar, Units, limit};
use crate::element::Element;
use crate::extent::Extent;
use crate::families::gaussian;
use crate::parallel::for_each;
use crate::real::Real;
use crate::simd::{LANES, Simd};
use crate::{dispatch, store_partial, with_scratch};

/// The inputs of the backward pass. `None` means that nothing depends on that output.
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
    /// The treatment of gradients outside the limits of `logvar`.
    pub clamp: ClampGradient,
}

/// The number of per-column factors, already divided by the number of rows. In the gradient of
/// `mu`: the factors of 1, of `2 mu` and of `2 (mu - M1)`. In the gradient of `logvar`: the factors
/// of `sigma^2 - 1` and of 1.
pub(super) const FACTORS: usize = 5;

/// Computes the gradients of `mu` (`[rows, columns]`) and of `logvar` (in its own shape: summed
/// over everything that was broadcast).
///
/// # Panics
/// Panics if a slice does not have the length of its shape.
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
    let extents = units.check();
    let Units { rows, columns, .. } = *units;
    extents.samples.check("z", gradients.z);
    extents.samples.check_any("the gradient of z", [gradients.d_z]);
    let UnitGradients { d_m1, d_m2, d_c2, d_d0, d_lv, .. } = *gradients;
    let per_column = [d_m1, d_m2, d_c2, d_d0, d_lv];
    extents.columns.check("m1", gradients.m1);
    extents.columns.check_any("a statistic's gradient", per_column);
    extents.layer.check_any("the gradient of kl", [gradients.d_kl]);
    if let Some(d_logvar) = &d_logvar {
        const NAME: &str = "the gradient of logvar";
        match units.logvar {
            LogVar::PerElement(_) => extents.layer.check(NAME, d_logvar),
            LogVar::PerColumn(_) => extents.columns.check(NAME, d_logvar),
            LogVar::Scalar(_) => Extent::new("sample_kl", [1]).check(NAME, d_logvar),
        }
    }
    let d_mu = d_mu.map(|d_mu| extents.layer.share("the gradient of mu", d_mu));
    let grid = Grid::new(rows, columns);
    let broadcast = units.broadcast();
    let (table_len, partial_len) = match broadcast {
        true => (POSTERIOR * columns, grid.chunks.max(1) * columns),
        false => (0, 0),
    };
    let source = units.source();
    with_scratch(FACTORS * columns + table_len + partial_len, |scratch: &mut [T]| {
        let (factors, rest) = scratch.split_at_mut(FACTORS * columns);
        let (table, partials) = rest.split_at_mut(table_len);
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
            dispatch!(for T, simd => posteriors(simd, units, table));
        }
        let mut d_logvar = d_logvar;
        let work = Task {
            units: *units,
            logvar: match units.logvar {
                LogVar::PerElement(logvar) => logvar,
                _ => &[],
            },
            source: &source,
            gradients: *gradients,
            factors,
            table,
            d_mu,
            d_logvar: match &mut d_logvar {
                _ if broadcast => {
                    let extent = Extent::new("sample_kl", [grid.chunks.max(1), columns]);
                    Some(extent.share("the partial sums", &mut *partials))
                }
                Some(d) => Some(extents.layer.share("the gradient of logvar", d)),
                None => None,
            },
        };
        for_each(grid.tasks(), |task| {
            let (chunk, rows, columns) = grid.task(task);
            if broadcast {
                dispatch!(for T, simd => work.run::<_, true>(simd, chunk, rows, columns));
            } else {
                dispatch!(for T, simd => work.run::<_, false>(simd, chunk, rows, columns));
            }
        });
        if let (true, Some(d_logvar)) = (broadcast, d_logvar) {
            merge_chunks(partials, &grid, 1, columns, false);
            reduce_broadcast(units, &partials[..columns], gradients.clamp, d_logvar);
        }
    });
}

/// The number of values per column of a posterior that all rows share: `sigma^2 - 1`, the power of
/// two near `sigma^2`, and sigma.
const POSTERIOR: usize = 3;

#[inline(always)]
fn posteriors<S: Simd, T: Element>(simd: S, units: &Units<'_, T>, table: &mut [T]) {
    let columns = units.columns;
    for column in (0..columns).step_by(LANES) {
        let width = LANES.min(columns - column);
        let logvar = limit(units.logvar(simd, 0, column, width));
        let [minus_one, power] = logvar.exp_m1_and_power();
        let [sigma, ..] = gaussian::scale(logvar);
        for (k, x) in [minus_one, power, sigma].into_iter().enumerate() {
            store_partial(x, &mut table[k * columns + column..][..width]);
        }
    }
}

/// Computes the gradient of a `logvar` that all rows share. The mask of the limits is applied after
/// the sum.
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
            for ((to, &g), &l) in to.iter_mut().zip(sums).zip(logvar) {
                *to = masked(l, g);
            }
        }
        LogVar::Scalar(logvar) => {
            // The sum over columns is in double precision: its order is fixed, and its rounding is
            // negligible.
            let total: f64 = sums.iter().map(|g| g.to_f64()).sum();
            to[0] = masked(logvar, T::from_f64(total));
        }
    }
}
