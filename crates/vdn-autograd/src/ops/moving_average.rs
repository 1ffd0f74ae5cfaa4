//! The moving average over the last axis, its ends continued: the trend of a window.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "moving_average";

struct MovingAverage {
    kernel: usize,
}

compiled_once!(MovingAverage);
impl<T: Element> Definition<T> for MovingAverage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs[0].rank() == 0 {
            return Err(ShapeError::new(NAME, inputs, "needs an axis to average over"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let n = inputs[0].shape().last();
        kernels::moving_average(inputs[0].data(), n, self.kernel, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        kernels::moving_average_backward(dy.data(), dy.shape().last(), self.kernel, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The mean of the `kernel` entries around each entry of the last axis (from `(kernel - 1) / 2` before it on); a
    /// row continues beyond its ends with its first and its last entry. A kernel of 1 is the identity.
    ///
    /// # Errors
    /// `kernel` is 0; `x` has no axis; `x` is stale.
    pub fn moving_average(&mut self, x: Var, kernel: usize) -> Result<Var, Error> {
        if kernel == 0 {
            return Err(Error::invalid(NAME, "a kernel of 0 averages over nothing"));
        }
        self.record_single(MovingAverage { kernel }, &[x])
    }
}
