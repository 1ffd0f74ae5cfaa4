//! [`Stack`]: layers of variational units on layers of variational units.
//!
//! A layer's samples are the contexts of the next: sample `s` stays sample `s` through the depth
//! ([`VariationalLayer::forward`]). Each layer has its own width, share of distributional units, noise stream, prior and KL
//! weight. The KL of a stack is the sum over layers of the mean KL of their units.

mod config;
mod intervention;
mod layer;
mod per_layer;
mod swap;

pub use config::{Activation, StackLayerConfig};
pub use intervention::Intervention;
pub(crate) use layer::Residual;
pub use layer::{StackLayer, TwinUnits};
pub use per_layer::{MAX_DEPTH, PerLayer};

use crate::core::error::ModelError;
use crate::core::graph::{Bindings, Graph, Mode};
use crate::core::init::Builder;
use crate::core::parameter::Parameters;
use crate::core::streams::{Purpose, Stream};
use crate::units::layer::{Context, LayerConfig, LayerOutput, VariationalLayer};
use layer::Sent;
use swap::swapped;
use vdn_autograd::{Error, Noise, Tape, UnitOutputs, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// Layers of layers.
#[derive(Clone, Debug)]
pub struct Stack {
    layers: Vec<StackLayer>,
    swap: Stream,
    redraw: Stream,
}

/// Whose latents are not the samples of their posteriors, to measure what they are worth downstream. All other noise stays
/// the same, because it is addressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// Nobody's.
    #[default]
    None,
    /// Those of one layer, from 0, are drawn from its prior; the layers above form their posteriors on the draws.
    Layer(usize),
    /// Those of all layers are drawn from their priors.
    All,
    /// Those of one layer, from 0, are swapped between the windows of the batch.
    Swapped(usize),
}

/// How a pass departs from [`Stack::forward`].
#[derive(Clone, Copy, Debug, Default)]
pub struct StackPass {
    /// So many samples, instead of those of the layers' configurations.
    pub samples: Option<usize>,
    /// The noise of one layer, from 0, instead of its own; the others have addressed noise.
    pub noise: Option<(usize, Noise)>,
    /// Whose latents are not their own samples.
    pub replaced: Replaced,
}

impl StackPass {
    /// So many samples, and this noise for the first layer.
    #[must_use]
    pub fn of_first(samples: usize, noise: Noise) -> Self {
        Self { samples: Some(samples), noise: Some((0, noise)), ..Self::default() }
    }

    /// The number of samples that the units of layer number `index` draw, and their noise; `None`
    /// if they draw as configured, or if there are none.
    fn draws<T: Element>(
        &self,
        graph: &Graph<'_, T>,
        layer: &StackLayer,
        index: usize,
    ) -> Option<(usize, Noise)> {
        let given = self.noise.filter(|&(of, _)| of == index).map(|(_, noise)| noise);
        if self.samples.is_none() && given.is_none() {
            return None;
        }
        let units = layer.units()?;
        let own = || units.samples(graph.mode());
        let noise = given.unwrap_or_else(|| Noise::Addressed(graph.noise(units.stream())));
        Some((self.samples.unwrap_or_else(own), noise))
    }

    /// What layer `index` sends on; `swap` is the stream of a permutation.
    fn sent(&self, index: usize, swap: Stream) -> Sent {
        match self.replaced {
            Replaced::All => Sent::FromPrior,
            Replaced::Layer(one) if one == index => Sent::FromPrior,
            Replaced::Swapped(one) if one == index => Sent::Swapped(swap),
            Replaced::None | Replaced::Layer(_) | Replaced::Swapped(_) => Sent::Samples,
        }
    }
}

/// What a stack gives.
#[derive(Clone, Copy, Debug)]
pub struct StackOutput {
    /// The activities of the last layer, `[samples, batch, channels]`; `samples` is 1 if no unit is a distribution.
    pub z: Var,
    /// What each layer's distributional units gave; `None` for a layer without any, and beyond the depth.
    pub layers: LayerOutputs,
    /// The activities of every layer, as [`StackOutput::z`] is those of the last; `None` beyond the depth.
    pub activities: Activities,
}

/// A variable of each layer, where there is one.
pub type Activities = [Option<Var>; MAX_DEPTH];

/// The outputs of the distributional units of each layer.
pub type LayerOutputs = [Option<LayerOutput>; MAX_DEPTH];

impl Stack {
    /// A stack; the parameters of its first layer are named `{name}.`, those of the others `{name}2.`, `{name}3.` and so on.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
    /// use vdn_model::units::{LayerConfig, Stack, StackLayerConfig};
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
    /// No layers or more than [`MAX_DEPTH`]; a setting outside its domain; another module of the
    /// name of a layer.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        layers: &[StackLayerConfig],
    ) -> Result<Self, ModelError> {
        if !(1..=MAX_DEPTH).contains(&layers.len()) {
            let domain = format!("1 to {MAX_DEPTH}");
            return Err(ModelError::domain("layers", layers.len(), domain));
        }
        let mut scope = builder.scope(name);
        // Of all layers: only one is swapped, or drawn anew, in a pass.
        let (swap, redraw) = (scope.stream(Purpose::Swap)?, scope.stream(Purpose::Redraw)?);
        let mut built: Vec<StackLayer> = Vec::with_capacity(layers.len());
        for (index, &config) in layers.iter().enumerate() {
            let scope = layer_name(name, index);
            let inputs = built.last().map_or(config.layer.inputs, StackLayer::channels);
            let layer = LayerConfig { inputs, ..config.layer };
            let config = StackLayerConfig { layer, ..config };
            built.push(StackLayer::new(&mut builder.scope(&scope), config)?);
        }
        Ok(Self { layers: built, swap, redraw })
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

    /// The noise stream of samples of a layer that are drawn anew, to compare with its samples.
    #[must_use]
    pub fn redraw_stream(&self) -> Stream {
        self.redraw
    }

    /// Activities `z` `[samples, batch, channels]` with windows swapped, as [`Replaced::Swapped`]
    /// swaps them: by a permutation without fixed points, the same in all samples. No gradient
    /// passes.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn swapped<T: Element>(&self, graph: &mut Graph<'_, T>, z: Var) -> Result<Var, Error> {
        swapped(graph, z, self.swap)
    }

    /// Records the stack on the context `h` `[batch, inputs]`, or on [`Context::samples`], with
    /// addressed noise.
    ///
    /// # Errors
    /// A context of another width, or of three axes that are not said to be samples.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
    ) -> Result<StackOutput, Error> {
        self.forward_with(graph, h, StackPass::default())
    }

    /// Records the stack with other noise, or with latents that are not the layers' own.
    ///
    /// # Errors
    /// Those of [`Stack::forward`]; noise of another shape than that of its layer.
    pub fn forward_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
        pass: StackPass,
    ) -> Result<StackOutput, Error> {
        self.record(graph, 0, h.into(), pass)
    }

    /// Records the layers from number `first`, from 0, up, on the activities `z` `[samples, batch,
    /// channels]` of the layer below it.
    ///
    /// # Errors
    /// Activities of another layer; noise of another shape than that of its layer.
    pub fn forward_from<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        first: usize,
        z: Var,
        pass: StackPass,
    ) -> Result<StackOutput, Error> {
        self.record(graph, first, Context::samples(z), pass)
    }

    fn record<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        first: usize,
        context: Context,
        pass: StackPass,
    ) -> Result<StackOutput, Error> {
        let (layers, activities) = ([None; MAX_DEPTH], [None; MAX_DEPTH]);
        let mut output = StackOutput { z: context.var(), layers, activities };
        let mut below = context;
        for (index, layer) in self.layers.iter().enumerate().skip(first) {
            let draws = pass.draws(graph, layer, index);
            let (z, own) = layer.forward(graph, below, draws, pass.sent(index, self.swap))?;
            (output.z, below) = (z, Context::samples(z));
            (output.layers[index], output.activities[index]) = (own, Some(z));
        }
        Ok(output)
    }

    /// Records the means of the posteriors of the layers up to number `last`, from 0, each `[rows, units * latent dims]` as
    /// in a whole pass: the layers below it draw the samples that its posteriors see.
    ///
    /// # Errors
    /// Those of [`Stack::forward_with`].
    pub fn means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        last: usize,
        pass: StackPass,
    ) -> Result<Activities, Error> {
        let mut means = [None; MAX_DEPTH];
        let mut below = Context::from(h);
        for (index, layer) in self.layers.iter().enumerate().take(last + 1) {
            if index == last {
                means[index] = layer.means(graph, below.var())?;
                break;
            }
            let draws = pass.draws(graph, layer, index);
            let (z, own) = layer.forward(graph, below, draws, pass.sent(index, self.swap))?;
            (below, means[index]) = (Context::samples(z), own.map(|own| own.mu));
        }
        Ok(means)
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
                let rows = graph.tape.constant([h.len() / inputs, inputs], h)?;
                let mut below = Context::from(rows);
                for layer in &self.layers[..index] {
                    let addressed = |units: &VariationalLayer| graph.noise(units.stream());
                    let noise = layer.units().map(addressed).map(Noise::Addressed);
                    let draws = noise.map(|noise| (1, noise));
                    let (z, _) = layer.forward(&mut graph, below, draws, Sent::Samples)?;
                    below = Context::samples(z);
                }
                let context = layer.context(&mut graph, below.var())?;
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
pub fn all_units<T: Element>(
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

#[cfg(test)]
mod tests;
