//! Concatenation along one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::{MAX_INPUTS, Shapes};
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "concat";

struct Concat {
    axis: usize,
}

/// Returns the shape with the size of `axis` set to `size`.
fn with_axis(shape: &Shape, axis: usize, size: usize) -> Result<Shape, ShapeError> {
    let mut dims = [1; vdn_tensor::MAX_RANK];
    let dims = &mut dims[..shape.rank()];
    dims.copy_from_slice(shape.dims());
    dims[axis] = size;
    Shape::new(dims)
}

compiled_once!(Concat);
impl<T: Element> Definition<T> for Concat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let axis = self.axis;
        let mut total = 0;
        for shape in inputs {
            let (_, size, _) = around(NAME, shape, axis)?;
            total += size;
            if with_axis(shape, axis, 0)? != with_axis(inputs[0], axis, 0)? {
                return Err(ShapeError::new(
                    NAME,
                    inputs,
                    format!("differ in more than axis {axis}"),
                ));
            }
        }
        outputs.push(with_axis(inputs[0], axis, total)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = outputs[0].shape().around(self.axis) else { return };
        let parts = inputs.iter().map(|part| (part.data(), part.shape().dims()[self.axis]));
        kernels::concat(parts, around, outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dy) = d_outputs[0] else { return };
        let Some(around) = dy.shape().around(self.axis) else { return };
        let sizes = inputs.iter().map(|part| part.shape().dims()[self.axis]);
        let parts = d_inputs.iter_mut().map(|part| part.as_mut().map(ViewMut::data_mut)).zip(sizes);
        kernels::split(dy.data(), around, parts);
    }
}

impl<T: Element> Tape<T> {
    /// Concatenates any number of tensors along `axis`. All other dimensions have to agree.
    ///
    /// # Errors
    /// Fails if there are no parts, there is no such axis, the other dimensions differ, or a
    /// variable is stale.
    pub fn concat(&mut self, parts: &[Var], axis: usize) -> Result<Var, Error> {
        if parts.is_empty() {
            return Err(Error::invalid(NAME, "nothing to join"));
        }
        self.check(NAME, parts)?;
        if parts.len() <= MAX_INPUTS {
            return self.record_single(Concat { axis }, parts);
        }
        // There are more parts than an operation can have inputs: join groups, then join the
        // groups.
        let mut groups = [parts[0]; MAX_INPUTS];
        let mut count = 0;
        for (group, parts) in groups.iter_mut().zip(parts.chunks(parts.len().div_ceil(MAX_INPUTS)))
        {
            *group = self.concat(parts, axis)?;
            count += 1;
        }
        self.record_single(Concat { axis }, &groups[..count])
    }
}
