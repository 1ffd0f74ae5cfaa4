//! The magnitude, element by element.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

struct Abs;

compiled_once!(Abs);
impl UnaryFormula for Abs {
    const NAME: &'static str = "abs";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.abs()
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        let (zero, one) = (x.lit(0.0), x.lit(1.0));
        R::select(x.lt(zero), -one, R::select(zero.lt(x), one, zero))
    }
}

impl<T: Element> Tape<T> {
    /// `|x|`, element by element. The slope at 0 is 0.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.variable([3], &[-2.0, 0.0, 3.0])?;
    /// let y = tape.abs(x)?;
    /// assert_eq!(tape.value(y).data(), [2.0, 0.0, 3.0]);
    /// let sum = tape.sum(y)?;
    /// tape.backward(sum)?;
    /// assert_eq!(tape.gradient(x).unwrap().data(), [-1.0, 0.0, 1.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn abs(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Abs, &[x])
    }
}
