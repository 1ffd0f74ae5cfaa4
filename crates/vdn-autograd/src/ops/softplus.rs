//! `ln(1 + e^x)`, without overflow, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Softplus;

compiled_once!(Softplus);
impl UnaryFormula for Softplus {
    const NAME: &'static str = "softplus";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.softplus()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        x.sigmoid()
    }
}

impl<T: Element> Tape<T> {
    /// `ln(1 + e^x)`, without overflow, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn softplus(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Softplus, &[x])
    }
}
