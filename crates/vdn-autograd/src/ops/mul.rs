//! The product of broadcasting tensors: `a b`.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "mul";

struct Mul;

struct Product;
impl Formula<2, 1> for Product {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [a * b]
    }
}

compiled_once!(Mul);
impl<T: Element> Definition<T> for Mul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        broadcasting::declare(NAME, inputs, 2, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let shape = *outputs[0].shape();
        broadcasting::evaluate(
            NAME,
            &Product,
            &shape,
            [inputs[0], inputs[1]],
            outputs[0].data_mut(),
        );
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dy) = d_outputs[0] else { return };
        for (d_input, other) in d_inputs.iter_mut().zip([inputs[1], inputs[0]]) {
            if let Some(dx) = d_input {
                broadcasting::pull(NAME, &Product, dy.shape(), [dy, other], dx);
            }
        }
    }
}

impl<T: Element> Tape<T> {
    /// `a * b`, element by element; the shapes broadcast.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn mul(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record_single(Mul, &[a, b])
    }
}
