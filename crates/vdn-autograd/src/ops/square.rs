//! `x^2`, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Square;

compiled_once!(Square);
impl UnaryFormula for Square {
    const NAME: &'static str = "square";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x * x
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        x + x
    }
}

impl<T: Element> Tape<T> {
    /// `x^2`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn square(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Square, &[x])
    }
}
