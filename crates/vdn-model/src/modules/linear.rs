//! [`Linear`]: the affine map `y = x W^T + b`.

use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// An affine map of the last axis; `weight [outputs, inputs]`, `bias [outputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParameterId,
    bias: ParameterId,
}

impl Linear {
    /// Creates a map whose weight and bias are uniform in `+-1/sqrt(inputs)`.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        Self::initialised(builder, name, [inputs, outputs], [Init::fan_in(inputs); 2])
    }

    /// Creates a map whose weight and bias are 0.
    pub fn zero<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        Self::initialised(builder, name, [inputs, outputs], [Init::Constant(0.0); 2])
    }

    /// Creates a map with these initial values of weight and bias.
    pub fn initialised<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        [weight, bias]: [Init; 2],
    ) -> Self {
        let mut scope = builder.scope(name);
        let weight = scope.add("weight", [outputs, inputs], weight);
        Self { weight, bias: scope.add("bias", [outputs], bias) }
    }

    /// Records the map. `x` is `[..., inputs]`; the result is `[..., outputs]`.
    ///
    /// # Errors
    /// Fails if the last axis of `x` is not `inputs`.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        let (weight, bias) = (graph.parameter(self.weight), graph.parameter(self.bias));
        graph.tape.affine(x, weight, Some(bias))
    }

    /// Records the map on `factor * x` without a pass over `x` for the product. The weight is
    /// scaled instead; it is smaller than `x` if `x` has many rows.
    ///
    /// # Errors
    /// Fails if the last axis of `x` is not `inputs`.
    pub fn forward_scaled<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        x: Var,
        factor: f64,
    ) -> Result<Var, Error> {
        let (weight, bias) = (graph.parameter(self.weight), graph.parameter(self.bias));
        let weight = graph.tape.scale(weight, T::from_f64(factor))?;
        graph.tape.affine(x, weight, Some(bias))
    }

    /// Returns the id of `weight [outputs, inputs]`.
    #[must_use]
    pub fn weight(&self) -> ParameterId {
        self.weight
    }

    /// Returns the id of `bias [outputs]`.
    #[must_use]
    pub fn bias(&self) -> ParameterId {
        self.bias
    }
}
