//! Repeating a tensor to a larger shape.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "broadcast_to";

struct BroadcastTo {
    shape: Shape,
}

compiled_once!(BroadcastTo);
impl<T: Element> Definition<T> for BroadcastTo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if kernels::broadcast_shape(NAME, &[inputs[0], &self.shape])? != self.shape {
            let reason = "the first does not broadcast to the second";
            return Err(ShapeError::new(NAME, &[inputs[0], &self.shape], reason));
        }
        outputs.push(self.shape);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let from = inputs[0].shape();
        kernels::broadcast_copy(inputs[0].data(), from, outputs[0].data_mut(), &self.shape);
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let to = *dx.shape();
        kernels::reduce_to_shape(dy.data(), dy.shape(), dx.data_mut(), &to);
    }
}

impl<T: Element> Tape<T> {
    /// `x` repeated to `shape` by the broadcasting rules: trailing dimensions are aligned, and
    /// dimensions of size 1 repeat.
    ///
    /// # Errors
    /// Fails if `x` does not broadcast to `shape`, or if `x` is stale.
    pub fn broadcast_to(&mut self, x: Var, shape: impl Into<Shape>) -> Result<Var, Error> {
        self.record_single(BroadcastTo { shape: shape.into() }, &[x])
    }
}
