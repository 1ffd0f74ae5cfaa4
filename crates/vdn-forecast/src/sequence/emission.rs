//! [`Emission`]: maps the units of a step to the density of the observation.

use crate::sequence::config::SequenceForecasterConfig;
use vdn_autograd::{Error, ObservationFamily, Var};
use vdn_model::core::{Builder, Graph, Init, ModelError, ParameterId};
use vdn_model::modules::Linear;
use vdn_tensor::Element;

/// `location = W z + b [+ V features]`, with one learned scale for each channel.
#[derive(Clone, Debug)]
pub(super) struct Emission {
    pub(super) family: ObservationFamily,
    latent: Linear,
    skip: Option<Linear>,
    log_scale: ParameterId,
}

impl Emission {
    pub(super) fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: &SequenceForecasterConfig,
    ) -> Result<Self, ModelError> {
        let features = config.emission_features();
        let latent = Linear::new(builder, "latent", config.units, config.channels);
        let skip = (features > 0).then(|| Linear::zero(builder, "skip", features, config.channels));
        let start = Init::Constant(config.initial_scale.ln());
        let log_scale = builder.add("log_scale", [config.channels], start);
        Ok(Self { family: config.emission.family()?, latent, skip, log_scale })
    }

    /// Records the locations. `z` is `[samples, rows, units]`, `features` is `[rows, width]` (or
    /// `[samples, rows, width]`), and the result is `[samples, rows, channels]`.
    pub(super) fn locations<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        features: Option<Var>,
    ) -> Result<Var, Error> {
        let own = self.latent.forward(graph, z)?;
        match (&self.skip, features) {
            (Some(skip), Some(features)) => {
                let rest = skip.forward(graph, features)?;
                graph.tape.add(own, rest)
            }
            _ => Ok(own),
        }
    }

    /// Returns the logarithms of the scales, `[channels]`.
    pub(super) fn log_scale(&self) -> ParameterId {
        self.log_scale
    }

    /// Records the log-density of `y [rows, channels]` in nats, `[samples, rows, channels]`.
    pub(super) fn log_density<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        locations: Var,
        y: Var,
    ) -> Result<Var, Error> {
        let log_scale = graph.parameter(self.log_scale);
        graph.tape.log_density(self.family, locations, log_scale, y)
    }
}
