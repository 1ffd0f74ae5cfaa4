//! `max(x, 0)`; the slope at 0 is 0, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Relu;

compiled_once!(Relu);
impl UnaryFormula for Relu {
    const NAME: &'static str = "relu";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.max(x.lit(0.0))
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        R::select(x.gt(x.lit(0.0)), x.lit(1.0), x.lit(0.0))
    }
}

impl<T: Element> Tape<T> {
    /// `max(x, 0)`; the slope at 0 is 0, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn relu(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Relu, &[x])
    }
}
