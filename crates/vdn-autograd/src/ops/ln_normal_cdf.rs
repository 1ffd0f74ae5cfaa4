//! The logarithm of the standard normal distribution function, `ln Φ(x)`. It is the log-likelihood
//! of an observation that is only known to lie below a limit.
//!
//! For `x >= -3`, `Φ` is computed by `erf`. Below, `Φ(-t) = φ(t) R(t)` with Mills' ratio
//! `R(t) = 1/(t + 1/(t + 2/(t + ...)))`, Laplace's continued fraction (Abramowitz and Stegun
//! 26.2.14). The value and the slope `φ/Φ = 1/R` then keep their relative accuracy even where `Φ`
//! itself underflows.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use std::f64::consts::FRAC_1_SQRT_2;
use vdn_tensor::{Element, Real};

struct LnNormalCdf;

/// `ln(2 pi) / 2`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
/// Below the negative of this number, `Φ` is computed by its continued fraction.
const TAIL: f64 = 3.0;
/// The number of terms of the fraction. At `t = 3` the rest is 1e-15 of the fraction, farther out
/// less.
const TERMS: u32 = 48;

/// `1 / R(t)` for `t >= TAIL`.
#[inline(always)]
fn inverse_mills<R: Real>(t: R) -> R {
    let mut fraction = t;
    for k in (1..=TERMS).rev() {
        fraction = t + t.lit(f64::from(k)) / fraction;
    }
    fraction
}

compiled_once!(LnNormalCdf);
impl UnaryFormula for LnNormalCdf {
    const NAME: &'static str = "ln_normal_cdf";
    const READS: SlopeReads = SlopeReads::Both;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        let (half, tail) = (x.lit(0.5), x.lit(TAIL));
        let near = (x * x.lit(FRAC_1_SQRT_2)).erf().mul_add(half, half).ln();
        let t = (-x).max(tail);
        let far = t * t * x.lit(-0.5) - x.lit(HALF_LN_TAU) - inverse_mills(t).ln();
        R::select(x.lt(-tail), far, near)
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, y: R) -> R {
        let tail = x.lit(TAIL);
        let near = (x * x * x.lit(-0.5) - x.lit(HALF_LN_TAU) - y).exp();
        R::select(x.lt(-tail), inverse_mills((-x).max(tail)), near)
    }
}

impl<T: Element> Tape<T> {
    /// `ln Φ(x)`, the logarithm of the standard normal distribution function, element by element,
    /// in nats.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.variable([2], &[0.0, -40.0])?;
    /// let y = tape.ln_normal_cdf(x)?;
    /// let [half, far] = tape.value(y).data() else { unreachable!() };
    /// assert!((half + std::f64::consts::LN_2).abs() < 1e-15);
    /// assert!((far + 804.608_442_013_753_9).abs() < 1e-11);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn ln_normal_cdf(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(LnNormalCdf, &[x])
    }
}
