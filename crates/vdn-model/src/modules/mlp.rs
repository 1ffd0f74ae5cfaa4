//! [`MlpEncoder`]: a multilayer perceptron that encodes tabular inputs.

use crate::core::graph::Graph;
use crate::core::init::Builder;
use crate::modules::layer_norm::LayerNorm;
use crate::modules::linear::Linear;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// A multilayer perceptron: linear layers, each followed by an exact GELU and a layer
/// normalisation.
#[derive(Clone, Debug)]
pub struct MlpEncoder {
    label: String,
    layers: Vec<(Linear, LayerNorm)>,
}

impl MlpEncoder {
    /// Creates an encoder of `inputs` features through hidden layers of these widths. The last
    /// width is the width of the context.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, inputs: usize, widths: &[usize]) -> Self {
        let label = builder.label().to_owned();
        let mut layers = Vec::new();
        let mut fan_in = inputs;
        for (i, &width) in widths.iter().enumerate() {
            let linear = Linear::new(builder, &format!("linear{i}"), fan_in, width);
            layers.push((linear, LayerNorm::new(builder, &format!("norm{i}"), width)));
            fan_in = width;
        }
        Self { label, layers }
    }

    /// Records the encoder. `x` is `[batch, inputs]`; the context is `[batch, last width]`.
    ///
    /// # Errors
    /// Fails if `x` has another number of features.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let mut x = x;
            for (linear, norm) in &self.layers {
                let y = linear.forward(graph, x)?;
                let y = graph.tape.gelu(y)?;
                x = norm.forward(graph, y)?;
            }
            Ok(x)
        })
    }
}
