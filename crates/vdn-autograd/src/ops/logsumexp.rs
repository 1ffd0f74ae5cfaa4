//! `ln sum exp(x)` over one axis, without overflow.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "logsumexp";

struct LogSumExp {
    axis: usize,
}

compiled_once!(LogSumExp);
impl<T: Element> Definition<T> for LogSumExp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        around(NAME, inputs[0], self.axis)?;
        outputs.push(inputs[0].without_axis(self.axis)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::logsumexp(inputs[0].data(), around, outputs[0].data_mut());
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
        kernels::logsumexp_backward(x, y, dy.data(), around, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The logarithm `ln sum exp(x)`, with the sum over `axis`, which is removed from the shape;
    /// minus infinity if `axis` has size 0.
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn logsumexp(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(LogSumExp { axis }, &[x])
    }
}
