//! Sums and means over one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

struct SumAxis {
    axis: usize,
    mean: bool,
}

impl SumAxis {
    fn named(&self) -> &'static str {
        if self.mean { "mean_axis" } else { "sum_axis" }
    }
}

compiled_once!(SumAxis);
impl<T: Element> Definition<T> for SumAxis {
    fn name(&self) -> &'static str {
        self.named()
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        around(self.named(), inputs[0], self.axis)?;
        outputs.push(inputs[0].without_axis(self.axis)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        let reduce = if self.mean { kernels::mean_axis } else { kernels::sum_axis };
        reduce(inputs[0].data(), around, outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        let expand =
            if self.mean { kernels::mean_axis_backward } else { kernels::sum_axis_backward };
        expand(dy.data(), around, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The sum over `axis`, which is removed from the shape.
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn sum_axis(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(SumAxis { axis, mean: false }, &[x])
    }

    /// The mean over `axis`, which is removed from the shape; NaN if the axis has size 0.
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn mean_axis(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(SumAxis { axis, mean: true }, &[x])
    }
}
