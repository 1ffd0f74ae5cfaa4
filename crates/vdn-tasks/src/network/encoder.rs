//! [`Encoder`]: computes the context of the units from the inputs, and adds the noise of training.

use crate::network::NetworkConfig;
use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Mode, ModelError, Purpose, Stream};
use vdn_model::modules::{LayerNorm, Linear};
use vdn_tensor::Element;

/// Hidden layers with GELU.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    layers: Vec<HiddenLayer>,
    /// The width of the last layer.
    width: usize,
    dropout: f64,
    input_dropout: (f64, Stream),
    input_noise: (f64, Stream),
}

#[derive(Clone, Debug)]
struct HiddenLayer {
    linear: Linear,
    norm: Option<LayerNorm>,
    dropout: Stream,
}

impl Encoder {
    /// An encoder of rows with `inputs` inputs.
    pub(super) fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: &NetworkConfig,
        inputs: usize,
    ) -> Result<Self, ModelError> {
        let mut scope = builder.scope("inputs");
        let input_dropout = (config.input_dropout, scope.stream(Purpose::Dropout)?);
        let input_noise = (config.input_noise, scope.stream(Purpose::Other("noise"))?);
        let (mut layers, mut width) = (Vec::new(), inputs);
        for (i, &next) in config.hidden.iter().enumerate() {
            let mut scope = builder.scope(&format!("encoder{}", i + 1));
            layers.push(HiddenLayer {
                linear: Linear::new(&mut scope, "linear", width, next),
                norm: config.layer_norm.then(|| LayerNorm::new(&mut scope, "norm", next)),
                dropout: scope.stream(Purpose::Dropout)?,
            });
            width = next;
        }
        Ok(Self { layers, width, dropout: config.dropout, input_dropout, input_noise })
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The inputs `[batch, inputs]` with the noise of training.
    pub(super) fn disturbed<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        x: Var,
    ) -> Result<Var, Error> {
        let x = dropped(graph, x, self.input_dropout)?;
        let (deviation, stream) = self.input_noise;
        if graph.mode() != Mode::Train || deviation == 0.0 {
            return Ok(x);
        }
        let (key, deviation) = (graph.noise(stream), T::from_f64(deviation));
        let shape = *graph.tape.shape(x);
        let noise = graph.tape.constant_with(shape, |to: &mut [T]| {
            key.fill_normal(0, to);
            to.iter_mut().for_each(|e| *e *= deviation);
        })?;
        graph.tape.add(x, noise)
    }

    /// Records the context of the inputs, `[batch, width]`.
    pub(super) fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        x: Var,
    ) -> Result<Var, Error> {
        graph.labelled("encoder", |graph| {
            let mut h = x;
            for layer in &self.layers {
                h = layer.linear.forward(graph, h)?;
                h = graph.tape.gelu(h)?;
                if let Some(norm) = &layer.norm {
                    h = norm.forward(graph, h)?;
                }
                h = dropped(graph, h, (self.dropout, layer.dropout))?;
            }
            Ok(h)
        })
    }
}

/// Dropout with the probability `p`, only in training.
pub(super) fn dropped<T: Element>(
    graph: &mut Graph<'_, T>,
    x: Var,
    (p, stream): (f64, Stream),
) -> Result<Var, Error> {
    if graph.mode() == Mode::Train && p > 0.0 {
        let key = graph.noise(stream);
        return graph.tape.dropout(x, p, key);
    }
    Ok(x)
}
