//! The hyperbolic tangent, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Tanh;

compiled_once!(Tanh);
impl UnaryFormula for Tanh {
    const NAME: &'static str = "tanh";
    const READS: SlopeReads = SlopeReads::Output;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.tanh()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, _x: R, y: R) -> R {
        y.lit(1.0) - y * y
    }
}

impl<T: Element> Tape<T> {
    /// The hyperbolic tangent, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn tanh(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Tanh, &[x])
    }
}
