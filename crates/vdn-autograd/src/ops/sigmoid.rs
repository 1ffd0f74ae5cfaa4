//! The logistic function `1 / (1 + e^-x)`, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Sigmoid;

compiled_once!(Sigmoid);
impl UnaryFormula for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const READS: SlopeReads = SlopeReads::Output;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.sigmoid()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, _x: R, y: R) -> R {
        y * (y.lit(1.0) - y)
    }
}

impl<T: Element> Tape<T> {
    /// The logistic function `1 / (1 + e^-x)`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn sigmoid(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Sigmoid, &[x])
    }
}
