//! A linear layer, `y = x W^T + b`.

use crate::graph::Graph;
use crate::init::{Builder, Init};
use crate::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// `y = x W^T + b` with `W` of shape `[outputs, inputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParameterId,
    bias: ParameterId,
}

impl Linear {
    /// Weights and biases uniform within `1/sqrt(inputs)`.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, name: &str, inputs: usize, outputs: usize) -> Self {
        Self::with_init(builder, name, inputs, outputs, Self::usual(inputs), Self::usual(inputs))
    }

    /// Weights and biases of zero: a layer that starts silent.
    pub fn zero<T: Element>(builder: &mut Builder<'_, T>, name: &str, inputs: usize, outputs: usize) -> Self {
        let zero = Init::Constant(0.0);
        Self::with_init(builder, name, inputs, outputs, zero, zero)
    }

    /// Weights and biases as given.
    pub fn with_init<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        inputs: usize,
        outputs: usize,
        weight: Init,
        bias: Init,
    ) -> Self {
        let mut scope = builder.scope(name);
        let weight = scope.add("weight", [outputs, inputs], weight);
        Self { weight, bias: scope.add("bias", [outputs], bias) }
    }

    /// The usual initialisation of a linear layer with so many inputs.
    #[must_use]
    pub fn usual(inputs: usize) -> Init {
        Init::Uniform(1.0 / (inputs.max(1) as f64).sqrt())
    }

    /// Records the layer: `x` is `[..., inputs]`, the result `[..., outputs]`.
    ///
    /// # Errors
    /// `x` has another number of inputs.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        let (weight, bias) = (graph.parameter(self.weight), graph.parameter(self.bias));
        graph.tape.affine(x, weight, Some(bias))
    }

    /// The weight, `[outputs, inputs]`.
    #[must_use]
    pub fn weight(&self) -> ParameterId {
        self.weight
    }

    /// The bias, `[outputs]`.
    #[must_use]
    pub fn bias(&self) -> ParameterId {
        self.bias
    }
}
