//! The sum and the mean of all elements.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

struct Total {
    mean: bool,
}

impl Total {
    /// The factor on the sum of `numel` elements.
    fn factor<T: Element>(&self, numel: usize) -> T {
        if self.mean { T::from_f64(1.0 / numel as f64) } else { T::ONE }
    }
}

compiled_once!(Total);
impl<T: Element> Definition<T> for Total {
    fn name(&self) -> &'static str {
        if self.mean { "mean" } else { "sum" }
    }

    fn output_shapes(&self, _inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(Shape::SCALAR);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let x = inputs[0].data();
        outputs[0].data_mut()[0] = kernels::sum_all(x) * self.factor(x.len());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let numel = dx.shape().numel();
        kernels::expand_axis(dy.data(), (1, numel, 1), self.factor(numel), dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The sum of all elements, of shape `[]`.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn sum(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Total { mean: false }, &[x])
    }

    /// The mean of all elements, of shape `[]`; NaN if there are none.
    ///
    /// # Errors
    /// Fails if `x` is stale.
    pub fn mean(&mut self, x: Var) -> Result<Var, Error> {
        self.record_single(Total { mean: true }, &[x])
    }
}
