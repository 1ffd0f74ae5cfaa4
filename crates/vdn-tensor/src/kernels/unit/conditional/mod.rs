//! The fused kernel of units under a conditional prior: draw, divergence and its mean in one pass,
//! and its adjoint, which stores no noise. It is the counterpart of the kernel for the standard
//! prior. The formulas are in [`conditional`](crate::families::conditional).
//!
//! Shapes: messages `m` and `log_r` are `[rows, columns]`; previous latents and draws are
//! `[samples, rows, columns]`; the prior's coefficient and log-variance are `[columns]`.

mod backward;
mod forward;

pub use backward::{ConditionalGradients, conditional_backward};
pub use forward::{ConditionalOutputs, conditional_forward};

pub(in crate::kernels) use backward::conditional_backward_body;
pub(in crate::kernels) use forward::conditional_forward_body;

use super::{Extents, Origin, Source, UnitNoise, load};
use crate::element::Element;
use crate::extent::check_noise;
use crate::real::Real;
use crate::simd::{LANES, Simd};
use crate::{load_partial, store_partial};

/// One step of a layer of units.
#[derive(Clone, Copy, Debug)]
pub struct ConditionalUnits<'a, T> {
    /// The number of examples in the batch.
    pub rows: usize,
    /// The number of units.
    pub columns: usize,
    /// The number of trajectories, at least 1.
    pub samples: usize,
    /// The means of the messages, `[rows, columns]`; ignored where `log_r` is infinite.
    pub m: &'a [T],
    /// Their log-variances, `[rows, columns]`.
    pub log_r: &'a [T],
    /// The latents of the step before, `[samples, rows, columns]`.
    pub previous: &'a [T],
    /// The coefficient of the prior, `[columns]`.
    pub phi: &'a [T],
    /// The log-variance of the prior, `[columns]`.
    pub logvar: &'a [T],
    /// The noise.
    pub noise: UnitNoise<'a, T>,
}

/// The number of values that depend on a column alone: coefficient, log-variance, deviation and
/// precision of the prior.
const TABLE: usize = 4;

impl<T: Element> ConditionalUnits<'_, T> {
    fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// Checks the lengths of all arrays; the lengths of outputs and gradients follow from the
    /// extents.
    fn check(&self) -> Extents {
        let Self { rows, columns, samples, .. } = *self;
        let extents = Extents::new("structured_step", [samples, rows, columns]);
        extents.layer.check("m", self.m);
        extents.layer.check("log_r", self.log_r);
        extents.samples.check("the previous latents", self.previous);
        extents.columns.check("phi", self.phi);
        extents.columns.check("logvar", self.logvar);
        match self.noise {
            UnitNoise::Given(noise) => extents.samples.check("the noise", noise),
            UnitNoise::Addressed(_) => check_noise("structured_step", [samples, rows, columns]),
        }
        extents
    }

    fn source(&self) -> Source<'_, T> {
        let from = match self.noise {
            UnitNoise::Addressed(key) => Origin::Addressed(key.rounds()),
            UnitNoise::Given(noise) => Origin::Given(noise),
        };
        Source { from, rows: self.rows, columns: self.columns, antithetic: false }
    }
}

/// The number of columns that a task processes row by row before it moves to the next columns. The
/// values of these columns stay in the first-level cache while rows pass through it.
const STRIP: usize = 256;

/// Returns `columns` rounded up to whole lane groups.
fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// Fills `table [lane groups, kinds, LANES]` with the values of the columns and, if there is a
/// fifth kind, with `last` times `share`. The kinds of a lane group lie next to each other: in
/// separate rows they would map to the same places of the cache.
#[inline(always)]
fn fill_table<S: Simd, T: Element>(
    simd: S,
    units: &ConditionalUnits<'_, T>,
    table: &mut [T],
    kinds: usize,
    last: Option<(&[T], T)>,
) {
    for (group, table) in table.chunks_exact_mut(kinds * LANES).enumerate() {
        let column = group * LANES;
        let range = column..units.columns.min(column + LANES);
        let phi = load_partial(simd, &units.phi[range.clone()], T::ZERO);
        let logvar = load_partial(simd, &units.logvar[range.clone()], T::ZERO);
        let deviation = (logvar * logvar.lit(0.5)).exp();
        // The limit keeps the precision finite, so that a distance of 0 from a prior without
        // variance costs nothing.
        let most = if size_of::<T>() == size_of::<f32>() { 88.0 } else { 709.0 };
        let precision = (-logvar).min(logvar.lit(most)).exp();
        let mut x = [phi, logvar, deviation, precision, T::splat(simd, T::ZERO)];
        if let Some((last, share)) = last {
            x[TABLE] = load_partial(simd, &last[range], T::ZERO) * T::splat(simd, share);
        }
        for k in 0..kinds {
            store_partial(x[k], &mut table[k * LANES..][..LANES]);
        }
    }
}

/// Returns the lanes of kind `kind` of the table for the lane group from `column` on.
///
/// # Safety
/// The table has `kinds` lane groups for each of the columns, which `column` is one of.
#[inline(always)]
unsafe fn table_at<S: Simd, T: Element>(
    simd: S,
    table: &[T],
    kinds: usize,
    column: usize,
    kind: usize,
) -> T::Lanes<S> {
    // SAFETY: by the contract of this function.
    unsafe { load::<S, T, true>(simd, table, column * kinds + kind * LANES, LANES) }
}
