//! The natural logarithm; NaN below 0, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Ln;

compiled_once!(Ln);
impl UnaryFormula for Ln {
    const NAME: &'static str = "ln";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.ln()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        x.lit(1.0) / x
    }
}

impl<T: Element> Tape<T> {
    /// The natural logarithm; NaN below 0, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn ln(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Ln, &[x])
    }
}
