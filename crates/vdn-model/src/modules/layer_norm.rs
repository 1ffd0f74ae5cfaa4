//! Layer normalisation with a learned scale and shift (Ba, Kiros and Hinton 2016).

use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// Added to the variance, as is usual.
const EPSILON: f64 = 1e-5;

/// Normalises the last axis to mean 0 and variance 1 (the biased one), then scales and shifts it.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: ParameterId,
    bias: ParameterId,
}

impl LayerNorm {
    /// Starts as the plain normalisation.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, name: &str, width: usize) -> Self {
        let mut scope = builder.scope(name);
        let weight = scope.add("weight", [width], Init::Constant(1.0));
        Self { weight, bias: scope.add("bias", [width], Init::Constant(0.0)) }
    }

    /// Records the layer: `x` is `[..., width]`.
    ///
    /// # Errors
    /// `x` has another width.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        self.forward_scaled(graph, x, 1.0)
    }

    /// Records the layer on `factor * x` (`factor > 0`) without a pass over `x` for that product: normalisation cancels
    /// a factor except beside the constant added to the variance, which is divided by its square instead.
    ///
    /// # Errors
    /// `x` has another width.
    pub fn forward_scaled<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        x: Var,
        factor: f64,
    ) -> Result<Var, Error> {
        let (weight, bias) = (graph.parameter(self.weight), graph.parameter(self.bias));
        graph.tape.layer_norm(x, weight, bias, EPSILON / (factor * factor))
    }

    /// The ids of scale and shift.
    pub fn parameters(&self) -> [ParameterId; 2] {
        [self.weight, self.bias]
    }

    /// What is added to the variance.
    pub fn epsilon() -> f64 {
        EPSILON
    }
}
