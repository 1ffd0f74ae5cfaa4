//! [`StackLayer`]: distributional and deterministic units side by side, and their input from the
//! layer below.
//!
//! A forward pass has these steps:
//!
//! 1. The activities below are normalised and activated, as configured: the context.
//! 2. The distributional units ([`VariationalLayer`]) form posteriors on the context and send on
//!    samples.
//! 3. The deterministic units send on a linear map of the context.
//! 4. Both are concatenated, distributional units first.
//! 5. The activities below are added, directly or through a learned map, if the layer has a
//!    residual.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::Parameters;
use crate::core::streams::{Purpose, Stream};
use crate::modules::layer_norm::LayerNorm;
use crate::modules::linear::Linear;
use crate::units::layer::{Context, LayerConfig, LayerOutput, VariationalLayer, initialize_rows};
use crate::units::stack::config::{Activation, StackLayerConfig};
use crate::units::stack::swap::swapped;
use vdn_autograd::{Error, Noise, Var};
use vdn_tensor::{Element, Shape};

/// The direct path from the activities below to the activities of the layer.
#[derive(Clone, Debug)]
pub(crate) enum Residual {
    Same,
    Projected(Linear),
}

/// One layer of a [`Stack`](super::Stack).
#[derive(Clone, Debug)]
pub struct StackLayer {
    label: String,
    config: StackLayerConfig,
    norm: Option<LayerNorm>,
    units: Option<VariationalLayer>,
    /// The noise stream of draws from the prior of its units.
    prior_stream: Option<Stream>,
    deterministic: Option<Linear>,
    residual: Option<Residual>,
}

/// The activities that a layer's distributional units send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The samples of their posteriors.
    Samples,
    /// Draws from their prior.
    FromPrior,
    /// Their samples, swapped between the windows of the batch by a permutation with this noise
    /// stream.
    Swapped(Stream),
}

/// The activities that the twin's units send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinUnits {
    /// Their mean; the parameters of the deviations are not used.
    Mean,
    /// Their mean times `2 sigmoid(log sigma)`; every parameter is used, so the twin has as many as
    /// the layer.
    Gated,
}

impl StackLayer {
    pub(super) fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: StackLayerConfig,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let label = builder.label().to_owned();
        let (inputs, all) = (config.layer.inputs, config.layer.units);
        let units = config.distributional();
        let per_unit = config.channels_per_unit();
        let own = LayerConfig { units, ..config.layer };
        let (variational, prior_stream) = match units {
            0 => (None, None),
            _ => {
                let variational = VariationalLayer::new(builder, own)?;
                (Some(variational), Some(builder.stream(Purpose::PriorDraws)?))
            }
        };
        let others = (all - units) * per_unit;
        let deterministic =
            (others > 0).then(|| Linear::new(builder, "deterministic", inputs, others));
        let norm = config.layer_norm.then(|| LayerNorm::new(builder, "norm", inputs));
        let residual = config.residual.then(|| match inputs == all * per_unit {
            true => Residual::Same,
            false => {
                let shape = [inputs, all * per_unit];
                let init = [Init::fan_in(inputs), Init::Constant(0.0)];
                Residual::Projected(Linear::initialised(builder, "residual", shape, init))
            }
        });
        let units = variational;
        Ok(Self { label, config, norm, units, prior_stream, deterministic, residual })
    }

    /// Returns the name, which prefixes its parameters.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &StackLayerConfig {
        &self.config
    }

    /// Returns its distributional units; `None` if it has none.
    #[must_use]
    pub fn units(&self) -> Option<&VariationalLayer> {
        self.units.as_ref()
    }

    /// Returns the noise stream of draws from the prior of its units; `None` if it has none.
    #[must_use]
    pub fn prior_stream(&self) -> Option<Stream> {
        self.prior_stream
    }

    /// Returns the map of its deterministic units; `None` if it has none.
    pub(crate) fn deterministic(&self) -> Option<&Linear> {
        self.deterministic.as_ref()
    }

    /// Returns the normalisation of the activities below, if there is one.
    pub(crate) fn norm(&self) -> Option<&LayerNorm> {
        self.norm.as_ref()
    }

    /// Returns the direct path from the activities below to its own, if there is one.
    pub(crate) fn residual(&self) -> Option<&Residual> {
        self.residual.as_ref()
    }

    /// Returns the number of activities that it sends on.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.config.layer.units * self.config.channels_per_unit()
    }

    /// Records the input of the heads: the activities below, normalised and activated as
    /// configured.
    pub(super) fn context<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        below: Var,
    ) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let normed = match &self.norm {
                Some(norm) => norm.forward(graph, below)?,
                None => below,
            };
            match self.config.activation {
                Activation::Identity => Ok(normed),
                Activation::Gelu => graph.tape.gelu(normed),
            }
        })
    }

    /// Records the layer on the activities below.
    pub(super) fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        below: Context,
        draws: Option<(usize, Noise)>,
        sent: Sent,
    ) -> Result<(Var, Option<LayerOutput>), Error> {
        let h = self.context(graph, below.var())?;
        let mut output = None;
        let distributional = match self.units.as_ref().zip(self.prior_stream) {
            None => None,
            Some((units, prior_stream)) => {
                let recorded = match draws {
                    Some((samples, noise)) => {
                        units.forward_with(graph, below.with_var(h), samples, noise)?
                    }
                    None => units.forward(graph, below.with_var(h))?,
                };
                output = Some(recorded);
                Some(match sent {
                    Sent::Samples => recorded.z,
                    Sent::Swapped(stream) => swapped(graph, recorded.z, stream)?,
                    Sent::FromPrior => {
                        let shape = *graph.tape.shape(recorded.z);
                        let key = graph.noise(prior_stream);
                        units.prior_activities(graph, shape, key)?
                    }
                })
            }
        };
        let z = self.join(graph, h, distributional)?;
        Ok((self.add_residual(graph, z, below.var())?, output))
    }

    /// Records the means of its distributional units' posteriors alone,
    /// `[rows, units * latent dims]`; `None` if it has none.
    pub(super) fn means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        below: Var,
    ) -> Result<Option<Var>, Error> {
        let Some(units) = &self.units else { return Ok(None) };
        let h = self.context(graph, below)?;
        let mu = units.means(graph, h)?;
        let shape = *graph.tape.shape(mu);
        Ok(Some(match *shape.dims() {
            [samples, batch, dims] => graph.tape.reshape(mu, [samples * batch, dims])?,
            _ => mu,
        }))
    }

    /// Records the layer's twin, which draws no samples.
    pub(super) fn twin<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        below: Var,
        twin: TwinUnits,
    ) -> Result<Var, Error> {
        let h = self.context(graph, below)?;
        let distributional = match &self.units {
            None => None,
            Some(units) => Some(units.twin_activities(graph, h, twin)?),
        };
        let z = self.join(graph, h, distributional)?;
        self.add_residual(graph, z, below)
    }

    /// Records the activities of all units, deterministic units last: `[samples, batch, channels]`.
    /// `samples` is 1 if no unit here or below draws any.
    fn join<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        distributional: Option<Var>,
    ) -> Result<Var, Error> {
        let Some(linear) = &self.deterministic else {
            return Ok(distributional.expect("a layer has at least one unit"));
        };
        graph.labelled(&self.label, |graph| {
            let sent = linear.forward(graph, h)?;
            let sent = with_samples(graph, sent)?;
            let Some(z) = distributional else { return Ok(sent) };
            let shape = graph.tape.shape(z).with_last(graph.tape.shape(sent).last())?;
            let sent = match *graph.tape.shape(sent) == shape {
                true => sent,
                false => graph.tape.broadcast_to(sent, shape)?,
            };
            graph.tape.concat(&[z, sent], 2)
        })
    }

    fn add_residual<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        below: Var,
    ) -> Result<Var, Error> {
        match &self.residual {
            None => Ok(z),
            Some(residual) => graph.labelled(&self.label, |graph| {
                let direct = match residual {
                    Residual::Same => below,
                    Residual::Projected(map) => map.forward(graph, below)?,
                };
                graph.tape.add(z, direct)
            }),
        }
    }

    /// Initialises the layer on the contexts `[rows, inputs]`. The means of distributional units
    /// get the variance `energy`; deterministic units get the variance that the samples of the
    /// others then have.
    pub(super) fn initialize<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        h: &[T],
        energy: f64,
    ) {
        if let Some(units) = &self.units {
            units.initialize(parameters, h, energy);
        }
        if let Some(linear) = &self.deterministic {
            let variance = energy + self.config.layer.initial_sigma.powi(2);
            initialize_rows(linear, self.config.layer.inputs, parameters, h, variance);
        }
    }
}

/// Records `[batch, channels]` as `[1, batch, channels]`; leaves three axes unchanged.
pub(super) fn with_samples<T: Element>(graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
    let shape: Shape = *graph.tape.shape(x);
    match shape.rank() {
        2 => graph.tape.reshape(x, shape.prepend(1)?),
        _ => Ok(x),
    }
}
