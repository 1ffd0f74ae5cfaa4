//! Limiting: `clamp` to an interval and `min_scalar` to an upper bound. The slope is 1 on the closed interval and 0
//! outside; NaN stays NaN.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Clamp {
    low: f64,
    high: f64,
}

compiled_once!(Clamp);
impl UnaryFormula for Clamp {
    const NAME: &'static str = "clamp";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.clamp(x.lit(self.low), x.lit(self.high))
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        let inside = x.ge(x.lit(self.low)) & x.le(x.lit(self.high));
        R::select(inside, x.lit(1.0), x.lit(0.0))
    }
}

struct MinScalar {
    bound: f64,
}

compiled_once!(MinScalar);
impl UnaryFormula for MinScalar {
    const NAME: &'static str = "min_scalar";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.min(x.lit(self.bound))
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        R::select(x.le(x.lit(self.bound)), x.lit(1.0), x.lit(0.0))
    }
}

impl<T: Element> Tape<T> {
    /// `x` limited to `[low, high]`; the slope is 1 on the closed interval and 0 outside.
    ///
    /// # Errors
    /// `low > high` or a bound is NaN; `x` is stale.
    pub fn clamp(&mut self, x: Var, low: T, high: T) -> Result<Var, Error> {
        let (low, high) = (low.to_f64(), high.to_f64());
        if low <= high {
            return self.record_single(Clamp { low, high }, &[x]);
        }
        Err(Error::invalid("clamp", format!("the interval [{low}, {high}] is empty")))
    }

    /// The smaller of `x` and `bound`; the slope is 1 up to and including the bound and 0 above.
    ///
    /// # Errors
    /// `bound` is NaN; `x` is stale.
    pub fn min_scalar(&mut self, x: Var, bound: T) -> Result<Var, Error> {
        let bound = bound.to_f64();
        if bound.is_nan() {
            return Err(Error::invalid("min_scalar", "the bound is NaN"));
        }
        self.record_single(MinScalar { bound }, &[x])
    }
}
