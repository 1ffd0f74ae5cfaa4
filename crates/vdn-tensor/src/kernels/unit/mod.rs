//! The fused kernel of a Gaussian unit: sample, statistics and (when asked) KL in one pass over memory, and its
//! adjoint, which stores no noise.
//!
//! Shapes: `mu [rows, columns]`, `logvar [rows, columns]`, `[columns]` or one number; `z [samples, rows, columns]`;
//! each statistic `[columns]`. A row is one example of the batch, a column one latent dimension of one unit.
//!
//! ```text
//! z_s = mu + sigma eps_s          logvar limited to [2 ln 1e-4, 2 ln 10], sigma = exp(logvar / 2)
//! M1 = mean mu     M2 = mean mu^2     C2 = mean (mu - M1)^2     (means over rows)
//! D0 = mean (sigma^2 - 1 - logvar)    Lv = mean logvar          KL = (mu^2 + sigma^2 - 1 - logvar) / 2
//! ```
//!
//! Work is cut into tiles of four rows by sixteen columns: one evaluation of the noise generator serves a tile. Row
//! chunks of a size that depends on the shape alone are summed apart and merged pairwise in a fixed tree, `C2` by the
//! update of Chan, Golub and LeVeque (1983), which neither cancels nor turns negative.

mod adjoint;
mod ahead;
mod backward;
mod chunks;
mod conditional;
mod forward;
mod merge;
mod strip;

pub use backward::{UnitGradients, unit_backward};
pub use conditional::{
    ConditionalGradients, ConditionalOutputs, ConditionalUnits, conditional_backward,
    conditional_forward,
};
pub use forward::{UnitOutputs, unit_forward};

pub(super) use backward::unit_backward_body;
pub(super) use conditional::{conditional_backward_body, conditional_forward_body};
pub(super) use forward::unit_forward_body;

use crate::element::Element;
use crate::extent::{Extent, check_noise};
use crate::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use crate::noise::{NoiseKey, Rounds};
use crate::parallel::SharedMut;
use crate::real::Real;
use crate::simd::{LANES, Lanes, Level, Simd};
use crate::{dispatch, load_partial, store_partial};

/// Rows of a tile: one block of the noise generator has four words.
const TILE: usize = 4;

/// The log-variance of the posteriors, `log sigma^2`.
#[derive(Clone, Copy, Debug)]
pub enum LogVar<'a, T> {
    /// `[rows, columns]`.
    PerElement(&'a [T]),
    /// `[columns]`, the same for every row.
    PerColumn(&'a [T]),
    /// One number for all.
    Scalar(T),
}

/// Where the noise comes from.
#[derive(Clone, Copy, Debug)]
pub enum UnitNoise<'a, T> {
    /// A pure function of `(seed, stream, step, sample, row, column)`; never stored.
    Addressed(NoiseKey),
    /// `[samples, rows, columns]`, as golden fixtures give it.
    Given(&'a [T]),
}

/// What to do with the gradient of a `logvar` outside its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ClampGradient {
    /// Let it pass when a descent step would lead back inside: above the upper limit when it is positive, below the
    /// lower one when it is negative.
    #[default]
    Inward,
    /// None, ever, as the reference implementation does: such a sigma never comes back.
    Zero,
}

/// The posteriors of a layer of units and how to sample them.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a, T> {
    /// Examples of the batch.
    pub rows: usize,
    /// Latent dimensions of all units.
    pub columns: usize,
    /// Samples per posterior, at least 1.
    pub samples: usize,
    /// The means, `[rows, columns]`.
    pub mu: &'a [T],
    /// The log-variances.
    pub logvar: LogVar<'a, T>,
    /// The noise.
    pub noise: UnitNoise<'a, T>,
    /// Whether sample `2 i + 1` uses the noise of sample `2 i` with the opposite sign.
    pub antithetic: bool,
}

impl<T: Element> Units<'_, T> {
    /// Checks the lengths of all arrays; those of the outputs and gradients follow from the
    /// extents.
    fn check(&self) -> Extents {
        let Self { rows, columns, samples, .. } = *self;
        let extents = Extents::new("sample_kl", [samples, rows, columns]);
        extents.layer.check("mu", self.mu);
        match self.logvar {
            LogVar::PerElement(x) => extents.layer.check("logvar", x),
            LogVar::PerColumn(x) => extents.columns.check("logvar", x),
            LogVar::Scalar(_) => {}
        }
        match self.noise {
            UnitNoise::Given(noise) => {
                extents.samples.check("the noise", noise);
                assert!(!self.antithetic, "sample_kl: antithetic noise is drawn, not given");
            }
            UnitNoise::Addressed(_) => check_noise("sample_kl", [samples, rows, columns]),
        }
        extents
    }

    /// Whether `logvar` is the same for every row.
    fn broadcast(&self) -> bool {
        !matches!(self.logvar, LogVar::PerElement(_))
    }

    /// The `logvar` of the lanes from `column`, before its limits; rows are ignored where it is broadcast.
    #[inline(always)]
    fn logvar<S: Simd>(&self, simd: S, row: usize, column: usize, width: usize) -> T::Lanes<S> {
        match self.logvar {
            LogVar::PerElement(x) => {
                let at = row * self.columns + column;
                load_partial(simd, &x[at..at + width], T::ZERO)
            }
            LogVar::PerColumn(x) => load_partial(simd, &x[column..column + width], T::ZERO),
            LogVar::Scalar(x) => T::splat(simd, x),
        }
    }

    /// Where the noise comes from, ready for many tiles.
    fn source(&self) -> Source<'_, T> {
        let Self { rows, columns, antithetic, .. } = *self;
        let from = match self.noise {
            UnitNoise::Addressed(key) => Origin::Addressed(key.rounds()),
            UnitNoise::Given(noise) => Origin::Given(noise),
        };
        Source { from, rows, columns, antithetic }
    }
}

/// The extents of a layer of units: of its samples, of one number for each posterior, and of one
/// for each column.
struct Extents {
    samples: Extent<3>,
    layer: Extent<2>,
    columns: Extent<1>,
}

impl Extents {
    /// # Panics
    /// A product overflows, or there are no samples.
    fn new(operation: &'static str, [samples, rows, columns]: [usize; 3]) -> Self {
        assert!(samples > 0, "{operation}: no samples");
        Self {
            samples: Extent::new(operation, [samples, rows, columns]),
            layer: Extent::new(operation, [rows, columns]),
            columns: Extent::new(operation, [columns]),
        }
    }
}

/// A place in a `[rows, columns]` array: at most four rows of at most sixteen columns.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    column: usize,
    height: usize,
    width: usize,
}

/// The lane group of `x` from `at` on: `width` numbers, or sixteen without a check if it is `WHOLE`.
///
/// # Safety
/// The group lies in `x`; if it is `WHOLE`, all sixteen do.
#[inline(always)]
unsafe fn load<S: Simd, T: Element, const WHOLE: bool>(
    simd: S,
    x: &[T],
    at: usize,
    width: usize,
) -> T::Lanes<S> {
    if WHOLE {
        debug_assert!(at + LANES <= x.len(), "lane group out of bounds");
        // SAFETY: sixteen numbers from `at` on lie in the slice; an array of `T` is aligned like `T`.
        return T::load(simd, unsafe { &*x.as_ptr().add(at).cast::<[T; LANES]>() });
    }
    load_partial(simd, &x[at..at + width], T::ZERO)
}

/// Writes a lane group to `to` from `at` on, as [`load`] reads one.
///
/// # Safety
/// As for [`load`], and no other task has this part.
#[inline(always)]
unsafe fn store<L: Lanes<Scalar = T>, T: Element, const WHOLE: bool>(
    lanes: L,
    to: SharedMut<'_, T>,
    at: usize,
    width: usize,
) {
    if WHOLE {
        // SAFETY: by the contract of this function.
        lanes.store(unsafe { to.array(at) });
    } else {
        // SAFETY: by the contract of this function.
        store_partial(lanes, unsafe { to.part(at..at + width) });
    }
}

/// The noise of tiles.
struct Source<'a, T> {
    from: Origin<'a, T>,
    rows: usize,
    columns: usize,
    antithetic: bool,
}

#[expect(clippy::large_enum_variant, reason = "one for a whole layer, on the stack")]
enum Origin<'a, T> {
    Addressed(Rounds),
    Given(&'a [T]),
}

impl<T: Element> Source<'_, T> {
    /// The noise of `sample` at a place (rows beyond its height are unspecified).
    #[inline(always)]
    fn normals<S: Simd, const WHOLE: bool>(
        &self,
        simd: S,
        sample: usize,
        place: Place,
    ) -> [T::Lanes<S>; TILE] {
        // The code of the noise is long, and longest for `Portable`, whose lanes are several
        // vectors. There a tile through memory costs nothing beside the noise itself.
        if const { matches!(S::LEVEL, Level::Portable) } {
            self.normals_apart(simd, sample, place)
        } else {
            self.normals_here::<S, WHOLE>(simd, sample, place)
        }
    }

    /// [`Source::normals`] by a function of its own, through memory: for where noise is seldom
    /// needed.
    #[inline(always)]
    fn normals_apart<S: Simd>(&self, simd: S, sample: usize, place: Place) -> [T::Lanes<S>; TILE] {
        let mut stored = [[T::ZERO; LANES]; TILE];
        self.fill_tile(sample, place, &mut stored);
        let mut eps = [T::splat(simd, T::ZERO); TILE];
        for (eps, stored) in eps.iter_mut().zip(&stored) {
            *eps = T::load(simd, stored);
        }
        eps
    }

    #[inline(never)]
    fn fill_tile(&self, sample: usize, place: Place, to: &mut [[T; LANES]; TILE]) {
        dispatch!(for T, simd => store_tile(self.normals_here::<_, false>(simd, sample, place), to));
    }

    #[inline(always)]
    fn normals_here<S: Simd, const WHOLE: bool>(
        &self,
        simd: S,
        sample: usize,
        place: Place,
    ) -> [T::Lanes<S>; TILE] {
        let Place { row, column, height, width } = place;
        match &self.from {
            Origin::Addressed(rounds) => {
                let (sample, negate) = match self.antithetic {
                    true => (sample / 2, sample % 2 == 1),
                    false => (sample, false),
                };
                let first = row / TILE * self.columns.next_multiple_of(LANES) + column;
                let mut eps = rounds.normals::<S, T>(simd, first as u32, sample as u32);
                if negate {
                    for e in &mut eps {
                        *e = -*e;
                    }
                }
                eps
            }
            Origin::Given(noise) => {
                let mut eps = [T::splat(simd, T::ZERO); TILE];
                for r in 0..height {
                    let at = (sample * self.rows + row + r) * self.columns + column;
                    // SAFETY: `Units::check` has compared the length with the shape, and the place lies in it.
                    eps[r] = unsafe { load::<S, T, WHOLE>(simd, noise, at, width) };
                }
                eps
            }
        }
    }
}

#[inline(always)]
fn store_tile<L: Lanes>(tile: [L; TILE], to: &mut [[L::Scalar; LANES]; TILE]) {
    for (to, tile) in to.iter_mut().zip(&tile) {
        tile.store(to);
    }
}

/// `logvar` within its limits; NaN stays NaN.
#[inline(always)]
fn limit<R: Real>(logvar: R) -> R {
    logvar.clamp(logvar.lit(LOGVAR_MIN), logvar.lit(LOGVAR_MAX))
}
