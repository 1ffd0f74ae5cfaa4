//! The gated head, which is applied to each sample of the latent separately.
//!
//! ```text
//! u = z / sqrt(channels)      a = Dropout(GELU(F LayerNorm(u)))
//! y = S u + sigmoid(G a) * D a        score = C a
//! ```

use crate::modules::replacement::ReplacementWeights;
use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Mode, ModelError, Parameters, Purpose, Stream};
use vdn_model::modules::{LayerNorm, Linear};
use vdn_tensor::Element;

/// The configuration of a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadConfig {
    /// The number of activities per sample.
    pub channels: usize,
    /// The number of outputs.
    pub outputs: usize,
    /// The width of the hidden layer.
    pub hidden: usize,
    /// Whether the hidden path is gated.
    pub gated: bool,
    /// The dropout probability of hidden activities in training.
    pub dropout: f64,
    /// Whether both output layers start at zero, so that the initial output is zero.
    pub zero_output: bool,
}

/// The gated head; [`GatedHead::forward`] computes it.
#[derive(Clone, Debug)]
pub struct GatedHead {
    label: String,
    config: HeadConfig,
    norm: LayerNorm,
    hidden: Linear,
    skip: Linear,
    gate: Option<Linear>,
    delta: Linear,
    score: Linear,
    stream: Stream,
}

/// The maps of a head, except for the score.
pub(crate) struct HeadParts<'a> {
    pub(crate) channels: usize,
    pub(crate) norm: &'a LayerNorm,
    pub(crate) hidden: &'a Linear,
    pub(crate) skip: &'a Linear,
    pub(crate) gate: Option<&'a Linear>,
    pub(crate) delta: &'a Linear,
}

impl GatedHead {
    /// Builds a head whose name is the scope of `builder`. The noise stream of its dropout is
    /// derived from the name.
    ///
    /// # Errors
    /// Fails if another module has this name.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: HeadConfig,
    ) -> Result<Self, ModelError> {
        let stream = builder.stream(Purpose::Dropout)?;
        let HeadConfig { channels, outputs, hidden, .. } = config;
        let output =
            |builder: &mut Builder<'_, T>, name: &str, inputs: usize| match config.zero_output {
                true => Linear::zero(builder, name, inputs, outputs),
                false => Linear::new(builder, name, inputs, outputs),
            };
        Ok(Self {
            label: builder.label().to_owned(),
            norm: LayerNorm::new(builder, "in_norm", channels),
            hidden: Linear::new(builder, "fc1", channels, hidden),
            skip: output(builder, "skip", channels),
            gate: config.gated.then(|| Linear::new(builder, "gate", hidden, outputs)),
            delta: output(builder, "delta", hidden),
            score: Linear::new(builder, "score", hidden, 1),
            config,
            stream,
        })
    }

    /// Records the head. `z` is `[samples, batch, channels]`, the predictions are
    /// `[samples, batch, outputs]`, and the scores (if wanted) are `[samples, batch]`.
    ///
    /// # Errors
    /// Fails if `z` has the wrong number of channels.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        want_score: bool,
    ) -> Result<(Var, Option<Var>), Error> {
        graph.labelled(&self.label, |graph| {
            let shape = *graph.tape.shape(z);
            // `u` is never computed as a value of its own: `z` is by far the largest value here.
            let scale = 1.0 / (self.config.channels as f64).sqrt();
            let normed = self.norm.forward_scaled(graph, z, scale)?;
            let hidden = self.hidden.forward(graph, normed)?;
            let mut a = graph.tape.gelu(hidden)?;
            if graph.mode() == Mode::Train && self.config.dropout > 0.0 {
                let key = graph.noise(self.stream);
                a = graph.tape.dropout(a, self.config.dropout, key)?;
            }
            let direct = self.skip.forward_scaled(graph, z, scale)?;
            let mut delta = self.delta.forward(graph, a)?;
            if let Some(gate) = &self.gate {
                let gate = gate.forward(graph, a)?;
                let gate = graph.tape.sigmoid(gate)?;
                delta = graph.tape.mul(gate, delta)?;
            }
            let y = graph.tape.add(direct, delta)?;
            let score = match want_score {
                true => {
                    let score = self.score.forward(graph, a)?;
                    Some(graph.tape.reshape(score, shape.without_axis(shape.rank() - 1)?)?)
                }
                false => None,
            };
            Ok((y, score))
        })
    }

    /// Returns the maps of the head.
    pub(crate) fn parts(&self) -> HeadParts<'_> {
        let Self { norm, hidden, skip, gate, delta, .. } = self;
        HeadParts { channels: self.config.channels, norm, hidden, skip, gate: gate.as_ref(), delta }
    }

    /// Returns the parameters in the form that replacements of single channels use.
    pub(crate) fn replacement_weights<T: Element>(
        &self,
        parameters: &Parameters<T>,
    ) -> ReplacementWeights<T> {
        let norm = self.norm.parameters().map(|id| parameters.get(id).tensor().data());
        let channels = self.config.channels as f64;
        let maps = [&self.hidden, &self.skip];
        let epsilon = channels * LayerNorm::epsilon();
        ReplacementWeights::new(parameters, norm, maps, 1.0 / channels.sqrt(), epsilon)
    }

    /// Records the inputs of the activation for `z` `[.., channels]`.
    ///
    /// # Errors
    /// Fails if `z` has the wrong number of channels.
    pub(crate) fn before_activation<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
    ) -> Result<Var, Error> {
        let scale = 1.0 / (self.config.channels as f64).sqrt();
        let normed = self.norm.forward_scaled(graph, z, scale)?;
        self.hidden.forward(graph, normed)
    }

    /// Records the part of the outputs that passes through the activation, without dropout.
    /// `hidden` are the inputs of the activation.
    ///
    /// # Errors
    /// Fails if `hidden` has the wrong width.
    pub(crate) fn after_activation<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        hidden: Var,
    ) -> Result<Var, Error> {
        let a = graph.tape.gelu(hidden)?;
        let delta = self.delta.forward(graph, a)?;
        let Some(gate) = &self.gate else { return Ok(delta) };
        let gate = gate.forward(graph, a)?;
        let gate = graph.tape.sigmoid(gate)?;
        graph.tape.mul(gate, delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dropout_of_a_forecaster_keeps_its_stream() {
        let config = HeadConfig {
            channels: 2,
            outputs: 1,
            hidden: 2,
            gated: true,
            dropout: 0.1,
            zero_output: false,
        };
        let mut parameters = Parameters::<f32>::new();
        let mut builder = Builder::new(&mut parameters, 0);
        let mut stream = |name| {
            let head = GatedHead::new(&mut builder.scope(name), config);
            head.map(|head| head.stream.number())
        };
        assert_eq!(stream("head").unwrap(), 1);
        assert!(stream("other").unwrap() >= 1 << 31);
        let error = stream("other").unwrap_err().to_string();
        assert!(error.contains("other (dropout) is built twice"), "{error}");
    }
}
