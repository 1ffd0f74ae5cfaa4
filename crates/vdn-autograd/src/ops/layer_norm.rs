//! Layer normalisation over the last axis. The kernel and its numerics are in
//! `kernels/layer_norm.rs` of `vdn-tensor`.
//!
//! Source: Ba, Kiros and Hinton, "Layer Normalization" (arXiv 1607.06450).

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{self, LayerNormGradients};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "layer_norm";

/// The outputs after the first are the mean and the reciprocal deviation of each row, for the
/// backward pass.
struct LayerNorm {
    eps: f64,
}

compiled_once!(LayerNorm);
impl<T: Element> Definition<T> for LayerNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &[x, weight, bias] = inputs else {
            return Err(ShapeError::new(NAME, inputs, "needs an input, a weight and a bias"));
        };
        let row = Shape::from([x.last()]);
        if x.rank() == 0 || *weight != row || *bias != row || x.last() == 0 {
            let reason =
                "weight and bias need the shape of a row of the input, at least one number";
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        outputs.push(*x);
        outputs.push_workspace(Shape::from([x.rows()]));
        outputs.push_workspace(Shape::from([x.rows()]));
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (&[x, weight, bias], [y, mean, rstd]) = (inputs, outputs) else { return };
        let (y, mean, rstd) = (y.data_mut(), mean.data_mut(), rstd.data_mut());
        kernels::layer_norm(x.data(), weight.data(), bias.data(), self.eps, y, mean, rstd);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (&[x, weight, _], &[_, mean, rstd], Some(dy)) = (inputs, outputs, d_outputs[0]) else {
            return;
        };
        let (x, weight, mean, rstd) = (x.data(), weight.data(), mean.data(), rstd.data());
        let mut wanted = d_inputs.iter_mut().map(|d| d.as_mut().map(ViewMut::data_mut));
        let [x_gradient, weight_gradient, bias_gradient] =
            std::array::from_fn(|_| wanted.next().flatten());
        let gradients =
            LayerNormGradients { x: x_gradient, weight: weight_gradient, bias: bias_gradient };
        kernels::layer_norm_backward(x, weight, mean, rstd, dy.data(), gradients);
    }
}

impl<T: Element> Tape<T> {
    /// Each row of `x` (its last axis), shifted to mean 0 and scaled to variance 1, then multiplied
    /// by `weight` and shifted by `bias`, both `[columns]`. The variance is the biased variance
    /// plus `eps`.
    ///
    /// # Errors
    /// Fails if the shapes do not fit, or rows are empty, if `eps` is negative or NaN, or if a
    /// variable is stale.
    pub fn layer_norm(&mut self, x: Var, weight: Var, bias: Var, eps: f64) -> Result<Var, Error> {
        if eps >= 0.0 {
            return self.record_single(LayerNorm { eps }, &[x, weight, bias]);
        }
        Err(Error::invalid(NAME, format!("eps {eps} is not a number from 0 on")))
    }
}
