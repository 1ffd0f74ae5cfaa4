//! [`Stack`]: layers of variational units on layers of variational units.
//!
//! A layer's samples are the contexts of the next: sample `s` stays sample `s` through the depth
//! ([`VariationalLayer::forward`]). Each layer has its own width, share of distributional units, noise stream, prior and KL
//! weight. The KL of a stack is the sum over layers of the mean KL of their units.

mod config;
mod layer;

pub use config::{Activation, MAX_DEPTH, PerLayer, StackLayerConfig};
pub use layer::{StackLayer, TwinUnits};

use crate::error::ModelError;
use crate::graph::{Bindings, Graph, Mode};
use crate::init::Builder;
use crate::layer::{LayerConfig, LayerOutput, VariationalLayer};
use crate::parameter::Parameters;
use vdn_autograd::{Error, Noise, Tape, UnitOutputs, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The noise streams of layer `layer`: of its units, and of draws from its prior. Those of the first layer are 0 and 2, as
/// in a model of one layer.
const fn streams(layer: usize) -> [u32; 2] {
    match layer {
        0 => [0, 2],
        _ => [16 + layer as u32, 16 + (MAX_DEPTH + layer) as u32],
    }
}

/// Layers of layers.
#[derive(Clone, Debug)]
pub struct Stack {
    layers: Vec<StackLayer>,
}

/// Whose latents are drawn from their prior instead of their posterior, to measure what they are worth downstream. All
/// other noise stays the same, because it is addressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// Nobody's.
    #[default]
    None,
    /// Those of one layer, from 0; the layers above form their posteriors on the draws.
    Layer(usize),
    /// Those of all layers.
    All,
}

/// How a pass departs from [`Stack::forward`].
#[derive(Clone, Copy, Debug, Default)]
pub struct StackPass {
    /// So many samples, and this noise for the first layer; the others have addressed noise.
    pub noise: Option<(usize, Noise)>,
    /// Whose latents are drawn from the prior.
    pub replaced: Replaced,
}

/// What a stack gives.
#[derive(Clone, Copy, Debug)]
pub struct StackOutput {
    /// The activities of the last layer, `[samples, batch, channels]`; `samples` is 1 if no unit is a distribution.
    pub z: Var,
    /// What each layer's distributional units gave; `None` for a layer without any, and beyond the depth.
    pub layers: LayerOutputs,
}

/// The outputs of the distributional units of each layer.
pub type LayerOutputs = [Option<LayerOutput>; MAX_DEPTH];

impl Stack {
    /// A stack; the parameters of its first layer are named `{name}.`, those of the others `{name}2.`, `{name}3.` and so on.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// use vdn_model::{Bindings, Builder, Graph, LayerConfig, Mode, Parameters, Stack, StackLayerConfig};
    /// use vdn_tensor::noise::NoiseKey;
    /// let layer = |units| LayerConfig { inputs: 3, units, train_samples: 4, ..LayerConfig::default() };
    /// let half = StackLayerConfig { distributional_fraction: 0.5, ..StackLayerConfig::default() };
    /// let configs = [8, 6, 4].map(|units| StackLayerConfig { layer: layer(units), ..half });
    /// let mut parameters = Parameters::<f32>::new();
    /// let stack = Stack::new(&mut Builder::new(&mut parameters, 0), "neuron", &configs)?;
    /// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    /// let key = NoiseKey::new(0, 0, 0);
    /// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
    /// let h = graph.tape.constant([7, 3], &[0.5; 21])?;
    /// let output = stack.forward(&mut graph, h)?;
    /// assert_eq!(tape.shape(output.z).dims(), &[4, 7, 4]);
    /// let top = output.layers[2].ok_or("no units")?;
    /// assert_eq!(tape.shape(top.mu).dims(), &[28, 2]); // two of four units are distributions
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No layers or more than [`MAX_DEPTH`]; a setting outside its domain.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        layers: &[StackLayerConfig],
    ) -> Result<Self, ModelError> {
        if !(1..=MAX_DEPTH).contains(&layers.len()) {
            let reason = format!("{}, has to be 1 to {MAX_DEPTH}", layers.len());
            return Err(ModelError::config("depth", reason));
        }
        let mut built: Vec<StackLayer> = Vec::with_capacity(layers.len());
        for (index, &config) in layers.iter().enumerate() {
            let scope = layer_name(name, index);
            let inputs = built.last().map_or(config.layer.inputs, StackLayer::channels);
            let layer = LayerConfig { inputs, ..config.layer };
            let config = StackLayerConfig { layer, ..config };
            built.push(StackLayer::new(&mut builder.scope(&scope), config, streams(index))?);
        }
        Ok(Self { layers: built })
    }

    /// The layers, the one that sees the context first.
    #[must_use]
    pub fn layers(&self) -> &[StackLayer] {
        &self.layers
    }

    /// The distributional units of all layers that have some.
    pub fn variational(&self) -> impl Iterator<Item = &VariationalLayer> {
        self.layers.iter().filter_map(StackLayer::units)
    }

    /// The number of activities that the last layer sends on.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.layers.last().map_or(0, StackLayer::channels)
    }

    /// Records the stack on the context `h` `[batch, inputs]`, with addressed noise.
    ///
    /// # Errors
    /// A context of another width.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
    ) -> Result<StackOutput, Error> {
        self.forward_with(graph, h, StackPass::default())
    }

    /// Records the stack with other noise, or with latents drawn from the prior.
    ///
    /// # Errors
    /// A context of another width; noise of another shape than the first layer's.
    pub fn forward_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        pass: StackPass,
    ) -> Result<StackOutput, Error> {
        let mut layers = [None; MAX_DEPTH];
        let mut z = h;
        for (index, layer) in self.layers.iter().enumerate() {
            let how = pass.noise.map(|(samples, noise)| match index {
                0 => (samples, noise),
                _ => (samples, Noise::Addressed(graph.noise(streams(index)[0]))),
            });
            let replaced = match pass.replaced {
                Replaced::None => false,
                Replaced::Layer(one) => one == index,
                Replaced::All => true,
            };
            (z, layers[index]) = layer.forward(graph, z, how, replaced)?;
        }
        Ok(StackOutput { z, layers })
    }

    /// Records the deterministic twin: every unit sends a function of its mean, `[1, batch, channels]`.
    ///
    /// # Errors
    /// A context of another width.
    pub fn twin<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        units: TwinUnits,
    ) -> Result<Var, Error> {
        let mut z = h;
        for layer in &self.layers {
            z = layer.twin(graph, z, units)?;
        }
        Ok(z)
    }

    /// Data-dependent initialisation on contexts `h` `[rows, inputs]`, layer by layer from below: every latent dimension
    /// gets a mean of variance `energy` over the rows, on the samples of the layers below.
    ///
    /// # Errors
    /// `h` does not hold whole rows.
    pub fn initialize<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        h: &[T],
        energy: f64,
    ) -> Result<(), Error> {
        let inputs = self.layers.first().map_or(1, |layer| layer.config().layer.inputs);
        for (index, layer) in self.layers.iter().enumerate() {
            let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
            let context = tape.no_grad(|tape| -> Result<Vec<T>, Error> {
                let (mode, key) = (Mode::Evaluate, NoiseKey::new(0, 0, 0));
                let mut graph = Graph::new(tape, parameters, &mut bindings, mode, key);
                let mut z = graph.tape.constant([h.len() / inputs, inputs], h)?;
                for (below, layer) in self.layers[..index].iter().enumerate() {
                    let noise = Noise::Addressed(graph.noise(streams(below)[0]));
                    (z, _) = layer.forward(&mut graph, z, Some((1, noise)), false)?;
                }
                let context = layer.context(&mut graph, z)?;
                Ok(graph.tape.value(context).data().to_vec())
            })?;
            drop(tape);
            layer.initialize(parameters, &context, energy);
        }
        Ok(())
    }
}

/// The scope of a layer.
fn layer_name(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name}{}", index + 1) }
}

/// The statistics of the units of all layers, one layer after the other, as if they were one: every measure per unit
/// follows from them. `z` is that of the last of these layers; the KL of single rows is left out unless there is one layer.
pub(crate) fn all_units<T: Element>(
    tape: &mut Tape<T>,
    layers: &LayerOutputs,
) -> Result<Option<UnitOutputs>, Error> {
    let mut all = layers.iter().flatten().map(|layer| layer.units);
    let Some(mut joined) = all.next() else { return Ok(None) };
    for units in all {
        let UnitOutputs { m1, m2, c2, d0, lv, mean_kl, .. } = joined;
        joined = UnitOutputs {
            z: units.z,
            m1: tape.concat(&[m1, units.m1], 0)?,
            m2: tape.concat(&[m2, units.m2], 0)?,
            c2: tape.concat(&[c2, units.c2], 0)?,
            d0: tape.concat(&[d0, units.d0], 0)?,
            lv: tape.concat(&[lv, units.lv], 0)?,
            kl: None,
            // All layers are of one family.
            mean_kl: match (mean_kl, units.mean_kl) {
                (Some(below), Some(own)) => Some(tape.concat(&[below, own], 0)?),
                _ => None,
            },
        };
    }
    Ok(Some(joined))
}
