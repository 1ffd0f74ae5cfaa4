//! [`SequenceLayer`]: a layer of units along time that reads a context at every step.
//!
//! Two linear heads turn the context of a step into a message, `Normal(z; m, r)` for each unit: the
//! evidence of this step alone. The prior links the steps. A missing step adds infinity to `ln r`,
//! so its message carries no information, whatever its context is.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::streams::{Purpose, Stream};
use crate::modules::linear::Linear;
use crate::priors::Prior;
use crate::sequence::{Message, Posterior, Unroll, Unrolled, filter, smooth, unroll};
use crate::units::{Layers, UnitLayer};
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// The input of a layer at one step.
#[derive(Clone, Copy, Debug)]
pub struct StepInput {
    /// The context `h`, `[batch, inputs]`. It has to be finite even if the step is missing.
    pub context: Var,
    /// The amount added to the log-variance of the message, `[batch, 1]`: 0 if the step was
    /// observed, infinity if it is missing. `None` if the whole batch was observed.
    pub missing: Option<Var>,
    /// The number of steps since the last input, at least 1.
    pub gap: u32,
}

/// A layer of units with a prior over time. Two linear heads map each context to the message of its
/// step.
#[derive(Clone, Debug)]
pub struct SequenceLayer {
    label: String,
    prior: Prior,
    posterior: Posterior,
    units: usize,
    mean: Linear,
    log_scale: Linear,
    stream: Stream,
}

/// The settings of a layer along time, apart from its prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceLayerConfig {
    /// The width of a step's context. Default: 256.
    pub inputs: usize,
    /// The number of units. Default: 64.
    pub units: usize,
    /// The form of the posterior. Default: `Structured`.
    pub posterior: Posterior,
    /// The initial deviation of all messages. Default: 1.
    pub initial_scale: f64,
}

impl Default for SequenceLayerConfig {
    fn default() -> Self {
        Self { inputs: 256, units: 64, posterior: Posterior::Structured, initial_scale: 1.0 }
    }
}

impl SequenceLayerConfig {
    /// Creates settings with these sizes and the defaults for everything else.
    #[must_use]
    pub fn new(inputs: usize, units: usize) -> Self {
        Self { inputs, units, ..Self::default() }
    }
}

impl SequenceLayer {
    /// Creates a layer under `prior`. Its name is the scope of `builder`; its noise stream follows
    /// from the name ([`streams`](crate::core::streams)).
    ///
    /// ```
    /// use vdn_model::core::{Builder, Parameters};
    /// use vdn_model::priors::Prior;
    /// use vdn_model::sequence::{SequenceLayer, SequenceLayerConfig};
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut scope = Builder::new(&mut parameters, 0);
    /// let mut scope = scope.scope("states");
    /// let config = SequenceLayerConfig::new(4, 2);
    /// SequenceLayer::new(&mut scope, Prior::StandardNormal, config)?;
    /// let again = SequenceLayer::new(&mut scope, Prior::StandardNormal, config);
    /// assert!(again.unwrap_err().to_string().contains("states (units) is built twice"));
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if there are no inputs or no units, the deviation is not positive, or another module
    /// has this name.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        prior: Prior,
        config: SequenceLayerConfig,
    ) -> Result<Self, ModelError> {
        let SequenceLayerConfig { inputs, units, posterior, initial_scale } = config;
        if inputs == 0 || units == 0 || !(initial_scale > 0.0 && initial_scale.is_finite()) {
            let reason = format!("{inputs} inputs, {units} units, scale {initial_scale}");
            return Err(ModelError::config("sequence_layer", reason));
        }
        let stream = builder.stream(Purpose::Units)?;
        let label = builder.label().to_owned();
        let mean = Linear::new(builder, "mean", inputs, units);
        // Small weights: every message starts near the initial deviation, whatever its context is.
        let weight = Init::Uniform(0.1 / (inputs as f64).sqrt());
        let start = Init::Constant(initial_scale.ln());
        let log_scale = Linear::initialised(builder, "log_scale", [inputs, units], [weight, start]);
        Ok(Self { label, prior, posterior, units, mean, log_scale, stream })
    }

    /// Returns the name, which prefixes the layer's parameters and appears in reports.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Returns the form of the posterior.
    #[must_use]
    pub fn posterior(&self) -> Posterior {
        self.posterior
    }

    /// Returns the prior of the units.
    #[must_use]
    pub fn prior(&self) -> Prior {
        self.prior
    }

    /// Returns the noise stream of the layer.
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Records the message of every step; for mean field it is the posterior of the step.
    ///
    /// # Errors
    /// Fails if a context has another width.
    pub fn messages<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        steps: &[StepInput],
    ) -> Result<Vec<Message>, Error> {
        graph.labelled(&self.label, |graph| {
            let mut messages = Vec::with_capacity(steps.len());
            for step in steps {
                let mean = self.mean.forward(graph, step.context)?;
                let log_scale = self.log_scale.forward(graph, step.context)?;
                let mut logvar = graph.tape.scale(log_scale, T::from_f64(2.0))?;
                if let Some(missing) = step.missing {
                    logvar = graph.tape.add(logvar, missing)?;
                }
                messages.push(Message { mean, logvar, gap: step.gap });
            }
            Ok(messages)
        })
    }

    /// Records the layer along all steps with its own posterior and unchanged messages. If contexts
    /// depend on the past alone, this is the filter.
    ///
    /// # Errors
    /// Fails as [`unroll`] does. Only the structured posterior accepts missing steps.
    pub fn filter<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        steps: &[StepInput],
        samples: usize,
        truncate: Option<usize>,
    ) -> Result<Unrolled, Error> {
        let how = self.how(graph, samples, truncate);
        let missing = steps.iter().any(|step| step.missing.is_some());
        if missing && self.posterior != Posterior::Structured {
            let reason = "missing steps need the structured posterior";
            return Err(Error::invalid("sequence layer", reason));
        }
        let messages = self.messages(graph, steps)?;
        graph.labelled(&self.label, |graph| match self.posterior {
            Posterior::Structured => filter(graph, self.prior, &messages, how),
            _ => unroll(graph, self.prior, &messages, how),
        })
    }

    /// Records the layer along all steps, with each message joined with the messages of later steps
    /// ([`smooth`]).
    ///
    /// # Errors
    /// Fails as [`smooth`] does, and for any posterior other than the structured one.
    pub fn smooth<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        steps: &[StepInput],
        samples: usize,
        truncate: Option<usize>,
    ) -> Result<Unrolled, Error> {
        if self.posterior != Posterior::Structured {
            let reason =
                format!("smoothing is for the structured posterior, not {:?}", self.posterior);
            return Err(Error::invalid("sequence layer", reason));
        }
        let how = self.how(graph, samples, truncate);
        let messages = self.messages(graph, steps)?;
        graph.labelled(&self.label, |graph| smooth(graph, self.prior, &messages, how))
    }

    /// Returns the settings that unroll its posterior with its own noise.
    pub fn how<T: Element>(
        &self,
        graph: &Graph<'_, T>,
        samples: usize,
        truncate: Option<usize>,
    ) -> Unroll {
        let noise = graph.noise(self.stream);
        Unroll { posterior: self.posterior, samples, noise, truncate }
    }
}

impl<'a> From<&'a SequenceLayer> for UnitLayer<'a> {
    fn from(layer: &'a SequenceLayer) -> Self {
        UnitLayer::along_sequence(&layer.label, layer.units, layer.prior)
    }
}

impl<'a> From<&'a SequenceLayer> for Layers<'a> {
    fn from(layer: &'a SequenceLayer) -> Self {
        UnitLayer::from(layer).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::parameter::Parameters;

    #[test]
    fn the_units_of_a_sequence_forecaster_keep_their_stream() {
        let mut parameters = Parameters::<f32>::new();
        let mut builder = Builder::new(&mut parameters, 0);
        let mut stream = |name| {
            let mut scope = builder.scope(name);
            let config = SequenceLayerConfig::new(2, 2);
            SequenceLayer::new(&mut scope, Prior::StandardNormal, config).map(|layer| layer.stream)
        };
        assert_eq!(stream("units").unwrap().number(), 0);
        assert!(stream("states").unwrap().number() >= 1 << 31);
        let error = stream("states").unwrap_err().to_string();
        assert!(error.contains("states (units) is built twice"), "{error}");
    }
}
