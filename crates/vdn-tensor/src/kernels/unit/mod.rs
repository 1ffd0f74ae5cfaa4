//! The fused kernel of a Gaussian unit: samples, statistics and (on request) the KL in one pass
//! over memory, and its adjoint, which stores no noise.
//!
//! A layer of units needs its samples, five statistics of every unit, and sometimes the KL of every
//! posterior. The obvious way, one operation for each, passes over arrays of the size of the layer
//! again and again, and keeps the noise and `sigma` in memory in between. This kernel reads `mu`
//! and `logvar` once, writes `z` once, and keeps everything else in registers, in small sums per
//! column, and in the noise of one strip.
//!
//! Shapes: `mu` is `[rows, columns]`; `logvar` is `[rows, columns]`, `[columns]` or one number; `z`
//! is `[samples, rows, columns]`; each statistic is `[columns]`. A row is one example of the batch,
//! a column is one latent dimension of one unit.
//!
//! ```text
//! z_s = mu + sigma eps_s          logvar limited to [2 ln 1e-4, 2 ln 10], sigma = exp(logvar / 2)
//! M1 = mean mu     M2 = mean mu^2     C2 = mean (mu - M1)^2     (means over rows)
//! D0 = mean (sigma^2 - 1 - logvar)    Lv = mean logvar          KL = (mu^2 + sigma^2 - 1 - logvar) / 2
//! ```
//!
//! # Forward
//!
//! The array is cut into tasks by its shape alone (`chunks.rs`), so the number of threads cannot
//! change a bit. Each task does the following:
//!
//! * for each tile of four rows by sixteen columns:
//!   * `eps = noise(sample, tile)`: one evaluation of the noise generator gives the 64 normals of
//!     the tile;
//!   * for each row of the tile:
//!     * load `mu` and `logvar`, limit `logvar`, and compute `sigma` and
//!       `spread = sigma^2 - 1 - logvar` together, without cancellation near `sigma = 1`;
//!     * store `z = mu + sigma eps` and, on request, `KL = (mu^2 + spread) / 2`;
//!     * add to the column sums of `spread` and `logvar`;
//!   * repeat for the further samples, with new noise or with `-eps` (antithetic);
//!   * compute the mean and the squared deviations of `mu` over the four rows, and merge them with
//!     those of the rows before.
//!
//! At the end the partial statistics of the row chunks are merged pairwise in a fixed tree. Means
//! and squared deviations are merged by the update of Chan, Golub and LeVeque (1983). A `C2`
//! computed from `mean mu^2 - M1^2` would cancel and could turn negative; merged deviations do
//! neither.
//!
//! # Backward
//!
//! With `N` rows, and `g_s` the gradient of sample `s`, the gradients are
//!
//! * of `mu`: `sum_s g_s + dM1/N + 2 mu dM2/N + 2 (mu - M1) dC2/N + mu dKL`;
//! * of `logvar`: `sum_s g_s sigma eps_s / 2 + (sigma^2 - 1) (dD0/N + dKL/2) + dLv/N`, masked by
//!   the limits ([`ClampGradient`]).
//!
//! The product `sigma eps_s` is `z_s - mu` wherever that is accurate, which is nearly always. Only
//! the other lane groups regenerate the noise from its address. So no noise is stored between the
//! two passes.

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

/// The number of rows of a tile: one block of the noise generator has four words.
const TILE: usize = 4;

/// The log-variance of the posteriors, `log sigma^2`.
#[derive(Clone, Copy, Debug)]
pub enum LogVar<'a, T> {
    /// One number for each element, `[rows, columns]`.
    PerElement(&'a [T]),
    /// One number for each column, `[columns]`, the same for every row.
    PerColumn(&'a [T]),
    /// One number for all elements.
    Scalar(T),
}

/// The source of the noise.
#[derive(Clone, Copy, Debug)]
pub enum UnitNoise<'a, T> {
    /// A pure function of `(seed, stream, step, sample, row, column)`; it is never stored.
    Addressed(NoiseKey),
    /// Given numbers, `[samples, rows, columns]`, as in golden fixtures.
    Given(&'a [T]),
}

/// The treatment of the gradient of a `logvar` outside its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ClampGradient {
    /// The gradient passes if a descent step would lead back inside: above the upper limit if it is
    /// positive, below the lower limit if it is negative.
    #[default]
    Inward,
    /// The gradient is always 0, as in the reference implementation; such a sigma never returns.
    Zero,
}

/// The posteriors of a layer of units, and the settings by which they are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a, T> {
    /// The number of examples in the batch.
    pub rows: usize,
    /// The number of latent dimensions of all units.
    pub columns: usize,
    /// The number of samples per posterior, at least 1.
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
    /// Checks the lengths of all arrays; the lengths of outputs and gradients follow from the
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

    /// Returns whether `logvar` is the same for every row.
    fn broadcast(&self) -> bool {
        !matches!(self.logvar, LogVar::PerElement(_))
    }

    /// Returns the `logvar` of the lanes from `column` on, before its limits. The row is ignored if
    /// `logvar` is broadcast.
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

    /// Returns the source of the noise, prepared for many tiles.
    fn source(&self) -> Source<'_, T> {
        let Self { rows, columns, antithetic, .. } = *self;
        let from = match self.noise {
            UnitNoise::Addressed(key) => Origin::Addressed(key.rounds()),
            UnitNoise::Given(noise) => Origin::Given(noise),
        };
        Source { from, rows, columns, antithetic }
    }
}

/// The extents of a layer of units: of its samples, of one number per posterior, and of one number
/// per column.
struct Extents {
    samples: Extent<3>,
    layer: Extent<2>,
    columns: Extent<1>,
}

impl Extents {
    /// # Panics
    /// Panics if a product overflows, or there are no samples.
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

/// Loads the lane group of `x` from `at` on: `width` numbers, or sixteen without a check if it is
/// `WHOLE`.
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
        // SAFETY: sixteen numbers from `at` on lie in the slice; an array of `T` is aligned like
        // `T`.
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
    /// Returns the noise of `sample` at a place. Rows beyond its height are unspecified.
    #[inline(always)]
    fn normals<S: Simd, const WHOLE: bool>(
        &self,
        simd: S,
        sample: usize,
        place: Place,
    ) -> [T::Lanes<S>; TILE] {
        // The code of the noise is long, and longest for `Portable`, whose lanes are several
        // vectors. There, passing a tile through memory costs little compared with the noise
        // itself.
        if const { matches!(S::LEVEL, Level::Portable) } {
            self.normals_apart(simd, sample, place)
        } else {
            self.normals_here::<S, WHOLE>(simd, sample, place)
        }
    }

    /// Does what [`Source::normals`] does, in a separate function and through memory, for places
    /// where noise is seldom needed.
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
                    // SAFETY: `Units::check` has compared the length with the shape, and the place
                    // lies in it.
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

/// Returns `logvar` within its limits; NaN stays NaN.
#[inline(always)]
fn limit<R: Real>(logvar: R) -> R {
    logvar.clamp(logvar.lit(LOGVAR_MIN), logvar.lit(LOGVAR_MAX))
}
