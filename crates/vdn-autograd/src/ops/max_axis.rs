//! The maximum over one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "max_axis";

struct MaxAxis {
    axis: usize,
}

compiled_once!(MaxAxis);
impl<T: Element> Definition<T> for MaxAxis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let (_, size, _) = around(NAME, inputs[0], self.axis)?;
        if size == 0 {
            return Err(ShapeError::new(
                NAME,
                inputs,
                format!("axis {} has no elements", self.axis),
            ));
        }
        outputs.push(inputs[0].without_axis(self.axis)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::max_axis(inputs[0].data(), around, outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        let (x, y) = (inputs[0].data(), outputs[0].data());
        kernels::max_axis_backward(x, y, dy.data(), around, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The maximum over `axis`, which is removed from the shape. The gradient goes to the first of
    /// equal maxima.
    ///
    /// # Errors
    /// Fails if there is no such axis, or it has size 0, or if `x` is stale.
    pub fn max_axis(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(MaxAxis { axis }, &[x])
    }
}
