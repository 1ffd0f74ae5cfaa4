//! Sums and differences of broadcasting tensors: `a + b` and `a - b`.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{self, Formula};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

/// `a + sign b`, with a sign of 1 or -1.
struct Add {
    name: &'static str,
    sign: f64,
}

struct Value(f64);
impl Formula<2, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [b.mul_add(b.lit(self.0), a)]
    }
}

compiled_once!(Add);
impl<T: Element> Definition<T> for Add {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        broadcasting::declare(self.name, inputs, 2, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let shape = *outputs[0].shape();
        let out = outputs[0].data_mut();
        broadcasting::evaluate(self.name, &Value(self.sign), &shape, [inputs[0], inputs[1]], out);
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dy) = d_outputs[0] else { return };
        for (d_input, sign) in d_inputs.iter_mut().zip([1.0, self.sign]) {
            let Some(dx) = d_input else { continue };
            let to = *dx.shape();
            if to.numel() != dy.shape().numel() {
                kernels::reduce_to_shape(dy.data(), dy.shape(), dx.data_mut(), &to);
                if sign < 0.0 {
                    kernels::scale_assign(dx.data_mut(), -T::ONE);
                }
            } else if sign < 0.0 {
                kernels::scale(-T::ONE, dy.data(), dx.data_mut());
            } else {
                kernels::copy(dy.data(), dx.data_mut());
            }
        }
    }
}

impl<T: Element> Tape<T> {
    /// `a + b`; the shapes broadcast.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn add(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record_single(Add { name: "add", sign: 1.0 }, &[a, b])
    }

    /// `a - b`; the shapes broadcast.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn sub(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record_single(Add { name: "sub", sign: -1.0 }, &[a, b])
    }
}
