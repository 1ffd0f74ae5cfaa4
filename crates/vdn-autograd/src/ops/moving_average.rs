//! The moving average over the last axis, with the ends continued: the trend of a window.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

struct MovingAverage {
    kernel: usize,
    /// Whether the forward pass computes the adjoint.
    adjoint: bool,
}

impl MovingAverage {
    fn run<T: Element>(&self, adjoint: bool, x: &View<'_, T>, out: &mut [T]) {
        let (n, kernel) = (x.shape().last(), self.kernel);
        if adjoint {
            kernels::moving_average_backward(x.data(), n, kernel, out);
        } else {
            kernels::moving_average(x.data(), n, kernel, out);
        }
    }

    fn name(&self) -> &'static str {
        if self.adjoint { "moving_average_adjoint" } else { "moving_average" }
    }
}

compiled_once!(MovingAverage);
impl<T: Element> Definition<T> for MovingAverage {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs[0].rank() == 0 {
            return Err(ShapeError::new(self.name(), inputs, "needs an axis to average over"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        self.run(self.adjoint, &inputs[0], outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        self.run(!self.adjoint, &dy, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The mean of the `kernel` entries around each entry of the last axis, starting
    /// `(kernel - 1) / 2` entries before it. Beyond its ends a row continues with its first and its
    /// last entry. A kernel of 1 is the identity.
    ///
    /// # Errors
    /// Fails if `kernel` is 0, if `x` has no axis, or if `x` is stale.
    pub fn moving_average(&mut self, x: Var, kernel: usize) -> Result<Var, Error> {
        self.smooth(MovingAverage { kernel, adjoint: false }, x)
    }

    /// The adjoint of [`Tape::moving_average`], row by row: `w A`, where the moving average of `x`
    /// is `A x`. A linear map with weights `w` of a moving average is therefore a linear map with
    /// weights `w A` of the row itself.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.constant([1, 3], &[1.0, 2.0, 6.0])?;
    /// let w = tape.constant([1, 3], &[0.5, 0.0, 2.0])?;
    /// let (trend, folded) = (tape.moving_average(x, 3)?, tape.moving_average_adjoint(w, 3)?);
    /// let (direct, folded) = (tape.affine(trend, w, None)?, tape.affine(x, folded, None)?);
    /// assert!((tape.scalar(direct)? - tape.scalar(folded)?).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [`Tape::moving_average`] does.
    pub fn moving_average_adjoint(&mut self, w: Var, kernel: usize) -> Result<Var, Error> {
        self.smooth(MovingAverage { kernel, adjoint: true }, w)
    }

    fn smooth(&mut self, op: MovingAverage, x: Var) -> Result<Var, Error> {
        if op.kernel == 0 {
            return Err(Error::invalid(op.name(), "a kernel of 0 averages over nothing"));
        }
        self.record_single(op, &[x])
    }
}
