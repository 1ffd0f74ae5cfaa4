//! A number times a tensor, and a number plus a tensor.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Scale {
    factor: f64,
}

compiled_once!(Scale);
impl UnaryFormula for Scale {
    const NAME: &'static str = "scale";
    const READS: SlopeReads = SlopeReads::Nothing;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x * x.lit(self.factor)
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        x.lit(self.factor)
    }
}

struct AddScalar {
    term: f64,
}

compiled_once!(AddScalar);
impl UnaryFormula for AddScalar {
    const NAME: &'static str = "add_scalar";
    const READS: SlopeReads = SlopeReads::Nothing;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x + x.lit(self.term)
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        x.lit(1.0)
    }
}

impl<T: Element> Tape<T> {
    /// `factor * x`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn scale(&mut self, x: Var, factor: T) -> Result<Var, Error> {
        self.record_single(Scale { factor: factor.to_f64() }, &[x])
    }

    /// `x + term`, element by element.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn add_scalar(&mut self, x: Var, term: T) -> Result<Var, Error> {
        self.record_single(AddScalar { term: term.to_f64() }, &[x])
    }
}
