//! `e^x`, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Exp;

compiled_once!(Exp);
impl UnaryFormula for Exp {
    const NAME: &'static str = "exp";
    const READS: SlopeReads = SlopeReads::Output;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.exp()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, _x: R, y: R) -> R {
        y
    }
}

impl<T: Element> Tape<T> {
    /// `e^x`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn exp(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Exp, &[x])
    }
}
