//! The square root; NaN below 0, and an infinite slope at 0, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Sqrt;

compiled_once!(Sqrt);
impl UnaryFormula for Sqrt {
    const NAME: &'static str = "sqrt";
    const READS: SlopeReads = SlopeReads::Output;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.sqrt()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, _x: R, y: R) -> R {
        y.lit(0.5) / y
    }
}

impl<T: Element> Tape<T> {
    /// The square root; NaN below 0, and an infinite slope at 0, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn sqrt(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Sqrt, &[x])
    }
}
