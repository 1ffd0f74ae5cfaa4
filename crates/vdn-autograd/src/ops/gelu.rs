//! The Gaussian error linear unit, exact: `x Φ(x)` with `Φ` the standard normal distribution
//! function.
//!
//! Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (arXiv 1606.08415); the form with
//! `erf`, not the approximation by `tanh`.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use std::f64::consts::FRAC_1_SQRT_2;
use vdn_tensor::{Element, Real};

struct Gelu;

/// `1 / sqrt(2 pi)`.
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// `Φ(x)`.
#[inline(always)]
fn cdf<R: Real>(x: R) -> R {
    let half = x.lit(0.5);
    (x * x.lit(FRAC_1_SQRT_2)).erf().mul_add(half, half)
}

compiled_once!(Gelu);
impl UnaryFormula for Gelu {
    const NAME: &'static str = "gelu";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x * cdf(x)
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        let density = (x * x * x.lit(-0.5)).exp() * x.lit(FRAC_1_SQRT_2PI);
        x.mul_add(density, cdf(x))
    }
}

impl<T: Element> Tape<T> {
    /// The exact Gaussian error linear unit `x (1 + erf(x / sqrt 2)) / 2`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn gelu(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Gelu, &[x])
    }
}
