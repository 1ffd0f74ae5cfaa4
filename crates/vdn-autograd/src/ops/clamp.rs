//! Clamping: `clamp` limits to an interval, `min_scalar` to an upper bound. The slope is 1 on the
//! closed interval and 0 outside. NaN stays NaN.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::{SlopeReads, UnaryFormula};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, map};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

struct Clamp {
    low: f64,
    high: f64,
}

compiled_once!(Clamp);
impl UnaryFormula for Clamp {
    const NAME: &'static str = "clamp";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.clamp(x.lit(self.low), x.lit(self.high))
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        let inside = x.ge(x.lit(self.low)) & x.le(x.lit(self.high));
        R::select(inside, x.lit(1.0), x.lit(0.0))
    }
}

struct MinScalar {
    bound: f64,
}

compiled_once!(MinScalar);
impl UnaryFormula for MinScalar {
    const NAME: &'static str = "min_scalar";
    const READS: SlopeReads = SlopeReads::Input;
    #[inline(always)]
    fn value<R: Real>(&self, x: R) -> R {
        x.min(x.lit(self.bound))
    }
    #[inline(always)]
    fn slope<R: Real>(&self, x: R, _y: R) -> R {
        R::select(x.le(x.lit(self.bound)), x.lit(1.0), x.lit(0.0))
    }
}

/// A [`Clamp`] whose gradient passes outside the limits if a descent step leads back inside.
struct ClampInward {
    low: f64,
    high: f64,
}

impl Formula<1, 1> for ClampInward {
    #[inline(always)]
    fn apply<R: Real>(&self, [x]: [R; 1]) -> [R; 1] {
        [x.clamp(x.lit(self.low), x.lit(self.high))]
    }
}

impl Formula<2, 1> for ClampInward {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy, x]: [R; 2]) -> [R; 1] {
        let zero = x.lit(0.0);
        let above = x.le(x.lit(self.high)) | dy.gt(zero);
        let below = x.ge(x.lit(self.low)) | dy.lt(zero);
        [R::select(above & below, dy, zero)]
    }
}

compiled_once!(ClampInward);
impl<T: Element> Definition<T> for ClampInward {
    fn name(&self) -> &'static str {
        "clamp_inward"
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        map::<T, 1, 1>(self, [inputs[0].data()], [outputs[0].data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        map::<T, 2, 1>(self, [dy.data(), inputs[0].data()], [dx.data_mut()]);
    }
}

impl<T: Element> Tape<T> {
    /// `x` limited to `[low, high]`. Outside, a gradient passes only if a descent step leads back
    /// inside: above the upper limit if it is positive, below the lower limit if it is negative. No
    /// parameter can get stuck outside.
    ///
    /// # Errors
    /// Fails if `low > high` or a bound is NaN, or if `x` is stale.
    pub fn clamp_inward(&mut self, x: Var, low: T, high: T) -> Result<Var, Error> {
        let (low, high) = (low.to_f64(), high.to_f64());
        if low <= high {
            return self.record_single(ClampInward { low, high }, &[x]);
        }
        Err(Error::invalid("clamp_inward", format!("the interval [{low}, {high}] is empty")))
    }

    /// `x` limited to `[low, high]`; the slope is 1 on the closed interval and 0 outside.
    ///
    /// # Errors
    /// Fails if `low > high` or a bound is NaN, or if `x` is stale.
    pub fn clamp(&mut self, x: Var, low: T, high: T) -> Result<Var, Error> {
        let (low, high) = (low.to_f64(), high.to_f64());
        if low <= high {
            return self.record_single(Clamp { low, high }, &[x]);
        }
        Err(Error::invalid("clamp", format!("the interval [{low}, {high}] is empty")))
    }

    /// The smaller of `x` and `bound`; the slope is 1 up to and including the bound and 0 above.
    ///
    /// # Errors
    /// Fails if `bound` is NaN, or if `x` is stale.
    pub fn min_scalar(&mut self, x: Var, bound: T) -> Result<Var, Error> {
        let bound = bound.to_f64();
        if bound.is_nan() {
            return Err(Error::invalid("min_scalar", "the bound is NaN"));
        }
        self.record_single(MinScalar { bound }, &[x])
    }
}
