//! [`Stack`]: layers of variational units on top of each other.
//!
//! A layer's samples are the contexts of the next layer. Sample `s` stays sample `s` at every depth
//! ([`VariationalLayer::forward`]), so the cost grows linearly with the depth, not exponentially.
//! Each layer has its own width, share of distributional units, noise stream, prior and KL weight.
//! The KL of a stack is the sum over layers of the mean KL of their units.

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

/// A stack of layers of variational units.
#[derive(Clone, Debug)]
pub struct Stack {
    layers: Vec<StackLayer>,
    swap: Stream,
    redraw: Stream,
}

/// Which layers' latents are replaced, to measure their downstream value. All other noise stays the
/// same, because noise is addressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// No layer's.
    #[default]
    None,
    /// The latents of one layer, counted from 0, are drawn from its prior. The layers above form
    /// their posteriors on the draws.
    Layer(usize),
    /// The latents of all layers are drawn from their priors.
    All,
    /// The latents of one layer, counted from 0, are swapped between the windows of the batch.
    Swapped(usize),
}

/// The differences of a pass from [`Stack::forward`].
#[derive(Clone, Copy, Debug, Default)]
pub struct StackPass {
    /// The number of samples, in place of the layers' settings.
    pub samples: Option<usize>,
    /// The noise of one layer, counted from 0, in place of its own; the other layers have addressed
    /// noise.
    pub noise: Option<(usize, Noise)>,
    /// The layers whose latents are replaced.
    pub replaced: Replaced,
}

impl StackPass {
    /// Creates a pass with this many samples and this noise for the first layer.
    #[must_use]
    pub fn of_first(samples: usize, noise: Noise) -> Self {
        Self { samples: Some(samples), noise: Some((0, noise)), ..Self::default() }
    }

    /// Returns the number of samples that the units of layer `index` draw, and their noise; `None`
    /// if they draw as configured, or if the layer has none.
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

    /// Returns the activities that layer `index` sends on. `swap` is the stream of the permutation.
    fn sent(&self, index: usize, swap: Stream) -> Sent {
        match self.replaced {
            Replaced::All => Sent::FromPrior,
            Replaced::Layer(one) if one == index => Sent::FromPrior,
            Replaced::Swapped(one) if one == index => Sent::Swapped(swap),
            Replaced::None | Replaced::Layer(_) | Replaced::Swapped(_) => Sent::Samples,
        }
    }
}

/// The output of a stack.
#[derive(Clone, Copy, Debug)]
pub struct StackOutput {
    /// The activities of the last layer, `[samples, batch, channels]`; `samples` is 1 if no unit is
    /// a distribution.
    pub z: Var,
    /// The output of each layer's distributional units; `None` for a layer without any, and beyond
    /// the depth.
    pub layers: LayerOutputs,
    /// The activities of every layer, in the form of [`StackOutput::z`]; `None` beyond the depth.
    pub activities: Activities,
}

/// A variable of each layer that has one.
pub type Activities = [Option<Var>; MAX_DEPTH];

/// The outputs of the distributional units of each layer.
pub type LayerOutputs = [Option<LayerOutput>; MAX_DEPTH];

impl Stack {
    /// Creates a stack. The names of the first layer's parameters begin with `{name}.`, those of
    /// the others with `{name}2.`, `{name}3.` and so on.
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
    /// Fails if there are no layers or more than [`MAX_DEPTH`], a setting is outside its domain, or
    /// another module has the name of a layer.
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
        // One stream for all layers: a pass swaps, or redraws, only one layer.
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

    /// Returns the layers; the first sees the context.
    #[must_use]
    pub fn layers(&self) -> &[StackLayer] {
        &self.layers
    }

    /// Iterates over the distributional units of all layers that have some.
    pub fn variational(&self) -> impl Iterator<Item = &VariationalLayer> {
        self.layers.iter().filter_map(StackLayer::units)
    }

    /// Returns the number of activities that the last layer sends on.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.layers.last().map_or(0, StackLayer::channels)
    }

    /// Returns the noise stream with which a layer's samples are redrawn, to compare with its
    /// samples.
    #[must_use]
    pub fn redraw_stream(&self) -> Stream {
        self.redraw
    }

    /// Records the activities `z` `[samples, batch, channels]` with windows swapped as in
    /// [`Replaced::Swapped`]: by a permutation without fixed points, the same in all samples. No
    /// gradient passes.
    ///
    /// # Errors
    /// Returns the errors of the tape.
    pub fn swapped<T: Element>(&self, graph: &mut Graph<'_, T>, z: Var) -> Result<Var, Error> {
        swapped(graph, z, self.swap)
    }

    /// Records the stack on the context `h` `[batch, inputs]`, or on [`Context::samples`], with
    /// addressed noise.
    ///
    /// # Errors
    /// Fails if the context has another width, or three axes that are not declared as samples.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
    ) -> Result<StackOutput, Error> {
        self.forward_with(graph, h, StackPass::default())
    }

    /// Records the stack with other noise or with replaced latents.
    ///
    /// # Errors
    /// Fails as [`Stack::forward`] does, and if the noise does not have the shape of its layer's
    /// noise.
    pub fn forward_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
        pass: StackPass,
    ) -> Result<StackOutput, Error> {
        self.record(graph, 0, h.into(), pass)
    }

    /// Records the layers from `first` (counted from 0) up, on the activities `z`
    /// `[samples, batch, channels]` of the layer below.
    ///
    /// # Errors
    /// Fails if the activities belong to another layer, or the noise does not have the shape of its
    /// layer's noise.
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

    /// Records the means of the posteriors of the layers up to `last` (counted from 0), each
    /// `[rows, units * latent dims]`, as in a complete pass: the layers below draw the samples on
    /// which its posteriors depend.
    ///
    /// # Errors
    /// Fails as [`Stack::forward_with`] does.
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

    /// Records the deterministic twin: every unit sends on a function of its mean,
    /// `[1, batch, channels]`.
    ///
    /// # Errors
    /// Fails if the context has another width.
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

    /// Initialises the stack on the contexts `h` `[rows, inputs]`, layer by layer from the bottom.
    /// The mean of every latent dimension gets the variance `energy` over the rows, given the
    /// samples of the layers below.
    ///
    /// # Errors
    /// Fails if `h` does not hold whole rows.
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

/// Returns the scope of a layer.
fn layer_name(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name}{}", index + 1) }
}

/// Records the statistics of the units of all layers, one layer after the other, as if they were
/// one layer. Every measure per unit follows from them. `z` is the `z` of the last layer. The KL of
/// single rows is omitted unless there is one layer.
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
            // All layers are of the same family.
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
