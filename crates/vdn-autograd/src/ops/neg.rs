//! `-x`, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Neg;

compiled_once!(Neg);
impl UnaryFormula for Neg {
    const NAME: &'static str = "neg";
    const READS: SlopeReads = SlopeReads::Nothing;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        -x
    }
    #[inline(always)]
    fn slope<R: Real>(&self, _x: R, y: R) -> R {
        y.lit(-1.0)
    }
}

impl<T: Element> Tape<T> {
    /// `-x`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn neg(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Neg, &[x])
    }
}
