//! Layer normalisation with a learned scale and shift (Ba, Kiros and Hinton 2016).

use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// The constant added to the variance; the usual value.
const EPSILON: f64 = 1e-5;

/// A layer normalisation of the last axis, with a learned scale and shift per element:
///
/// `y = scale (x - mean) / sqrt(variance + 1e-5) + shift`, where `variance` is the biased variance
/// over the axis.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: ParameterId,
    bias: ParameterId,
}

impl LayerNorm {
    /// Creates a layer that starts as the plain normalisation, with scale 1 and shift 0.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, name: &str, width: usize) -> Self {
        let mut scope = builder.scope(name);
        let weight = scope.add("weight", [width], Init::Constant(1.0));
        Self { weight, bias: scope.add("bias", [width], Init::Constant(0.0)) }
    }

    /// Records the layer: `x` is `[..., width]`.
    ///
    /// # Errors
    /// Fails if `x` has another width.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        self.forward_scaled(graph, x, 1.0)
    }

    /// Records the layer on `factor * x` (`factor > 0`) without a pass over `x` for the product.
    ///
    /// The factor cancels in the normalisation, except in the constant that is added to the
    /// variance. That constant is divided by the square of the factor instead.
    ///
    /// # Errors
    /// Fails if `x` has another width.
    pub fn forward_scaled<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        x: Var,
        factor: f64,
    ) -> Result<Var, Error> {
        let (weight, bias) = (graph.parameter(self.weight), graph.parameter(self.bias));
        graph.tape.layer_norm(x, weight, bias, EPSILON / (factor * factor))
    }

    /// Returns the ids of scale and shift.
    pub fn parameters(&self) -> [ParameterId; 2] {
        [self.weight, self.bias]
    }

    /// Returns the constant added to the variance.
    pub fn epsilon() -> f64 {
        EPSILON
    }
}
