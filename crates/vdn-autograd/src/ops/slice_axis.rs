//! Cutting a range out of one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, MAX_RANK, Shape, ShapeError, View, ViewMut};

const NAME: &str = "slice_axis";

struct SliceAxis {
    axis: usize,
    start: usize,
    len: usize,
}

compiled_once!(SliceAxis);
impl<T: Element> Definition<T> for SliceAxis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &Self { axis, start, len } = self;
        let (_, size, _) = around(NAME, inputs[0], axis)?;
        if start.checked_add(len).is_none_or(|end| end > size) {
            let reason = format!("{len} from {start} on do not lie in axis {axis} of size {size}");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        let mut dims = [1; MAX_RANK];
        let dims = &mut dims[..inputs[0].rank()];
        dims.copy_from_slice(inputs[0].dims());
        dims[axis] = len;
        outputs.push(Shape::new(dims)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::slice_axis(inputs[0].data(), around, self.start, self.len, outputs[0].data_mut());
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
        kernels::slice_axis_backward(dy.data(), around, self.start, self.len, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The `len` entries of `axis` from `start` on.
    ///
    /// # Errors
    /// There is no such axis, or the range does not lie in it; `x` is stale.
    pub fn slice_axis(
        &mut self,
        x: Var,
        axis: usize,
        start: usize,
        len: usize,
    ) -> Result<Var, Error> {
        self.record_single(SliceAxis { axis, start, len }, &[x])
    }
}
