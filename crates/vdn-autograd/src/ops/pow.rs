//! A constant power, element by element. Whole exponents up to 32 are computed by products, so that
//! negative numbers have powers and no logarithm is rounded. Other exponents are computed as
//! `e^(p ln x)`.

use crate::compiled_once::compiled_once;
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real};

const NAME: &str = "pow";

/// The largest whole exponent that is computed by products.
const PRODUCTS: f64 = 32.0;

struct Pow {
    exponent: f64,
}

/// `x^p`; NaN stays NaN for every `p`.
#[inline(always)]
fn power<R: Real>(x: R, p: f64) -> R {
    let one = x.lit(1.0);
    if p == 0.0 {
        return R::select(x.le(x), one, x);
    }
    if p.fract() != 0.0 || p.abs() > PRODUCTS {
        return (x.ln() * x.lit(p)).exp();
    }
    let (mut left, mut base, mut product) = (p.abs() as u32, x, one);
    while left > 0 {
        if left % 2 == 1 {
            product = product * base;
        }
        left /= 2;
        if left > 0 {
            base = base * base;
        }
    }
    if p < 0.0 { one / product } else { product }
}

compiled_once!(Pow);
impl UnaryFormula for Pow {
    const NAME: &'static str = NAME;
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        power(x, self.exponent)
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        if self.exponent == 0.0 {
            return x.lit(0.0);
        }
        x.lit(self.exponent) * power(x, self.exponent - 1.0)
    }
}

impl<T: Element> Tape<T> {
    /// The power `x^exponent`, element by element. For whole exponents between -32 and 32, `x` may
    /// be any number. For other exponents `x >= 0` (NaN below), and the relative error is about
    /// `|exponent ln x|` roundings.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.variable([2], &[-2.0, 3.0])?;
    /// let y = tape.pow(x, 3.0)?;
    /// assert_eq!(tape.value(y).data(), [-8.0, 27.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the exponent is not finite, or if `x` is stale.
    pub fn pow(&mut self, x: Var, exponent: f64) -> Result<Var, Error> {
        if !exponent.is_finite() {
            return Err(Error::invalid(NAME, format!("the exponent {exponent} is not finite")));
        }
        self.record_single(Pow { exponent }, &[x])
    }
}
