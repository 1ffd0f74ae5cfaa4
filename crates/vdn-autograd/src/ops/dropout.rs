//! Dropout with addressed noise: the mask is a function of the key, regenerated in the backward pass.

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
        // Linear and diagonal: its own adjoint.
        kernels::dropout(dy.data(), self.p, self.key, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// Zeroes each element with probability `p` and divides the others by `1 - p`, so that the mean is kept. Which
    /// elements is a pure function of `key`. With `p` 0 this is `x` itself.
    ///
    /// # Errors
    /// `p` is not in [0, 1); `x` is stale.
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
