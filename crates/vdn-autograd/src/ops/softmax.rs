//! The softmax over one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "softmax";

struct Softmax {
    axis: usize,
}

compiled_once!(Softmax);
impl<T: Element> Definition<T> for Softmax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        around(NAME, inputs[0], self.axis)?;
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::softmax(inputs[0].data(), around, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let Some(around) = outputs[0].shape().around(self.axis) else { return };
        kernels::softmax_backward(outputs[0].data(), dy.data(), around, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The softmax `exp(x) / sum exp(x)` over the last axis.
    ///
    /// # Errors
    /// Fails if `x` has no axis, or if `x` is stale.
    pub fn softmax(&mut self, x: Var) -> Result<Var, Error> {
        self.check(NAME, &[x])?;
        let axis = self.shape(x).rank().saturating_sub(1);
        self.softmax_axis(x, axis)
    }

    /// The softmax `exp(x) / sum exp(x)` over `axis`, for instance over samples, which are the
    /// first axis.
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn softmax_axis(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(Softmax { axis }, &[x])
    }
}
