//! Dropout with addressed noise: the mask is a function of the key, and is regenerated in the
//! backward pass.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "dropout";

struct Dropout {
    p: f64,
    key: NoiseKey,
}

compiled_once!(Dropout);
impl<T: Element> Definition<T> for Dropout {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        kernels::dropout(inputs[0].data(), self.p, self.key, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        // Dropout is linear and diagonal, so it is its own adjoint.
        kernels::dropout(dy.data(), self.p, self.key, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// Sets each element to zero with probability `p` and divides the others by `1 - p`, so that
    /// the mean stays. The choice of elements depends on `key` alone. With `p` 0 the result is `x`
    /// itself.
    ///
    /// # Errors
    /// Fails if `p` is not in [0, 1), or if `x` is stale.
    pub fn dropout(&mut self, x: Var, p: f64, key: NoiseKey) -> Result<Var, Error> {
        if !(0.0..1.0).contains(&p) {
            return Err(Error::invalid(NAME, format!("the probability {p} is not in [0, 1)")));
        }
        if p == 0.0 {
            return self.check(NAME, &[x]).map(|()| x);
        }
        self.record_single(Dropout { p, key }, &[x])
    }
}
