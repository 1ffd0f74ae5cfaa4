//! [`Forecaster`] maps two windows of a series to a predictive distribution of the next steps,
//! through layers of variational units. Its deterministic twin is built here, too.
//!
//! A forward pass has these steps:
//!
//! 1. The statistics of the current window normalise both windows (`inputs.rs`).
//! 2. The encoder maps both windows and the covariates to a context.
//! 3. The layers of units draw samples from posteriors that depend on the context.
//! 4. The head maps the units' activities to a forecast; the context also gives the output noise.
//! 5. Linear maps of the current window (skip) and of the covariates are added.
//! 6. The forecast is mapped back to the scale of the window.

mod aggregate;
mod batch;
mod check;
mod config;
mod inputs;
mod joint;
mod local;
mod loss;
mod moments;
mod paths;
mod posteriors;
mod prediction;
mod targets;
mod unit_effects;

pub use aggregate::{Aggregation, Vote, vote};
pub use batch::{Batch, Beside};
pub use config::{Compatibility, Dependence, ForecasterConfig, Variant};
pub use local::LossOptions;
pub use moments::PredictiveMoments;
pub use prediction::{Prediction, SharedNoise};

use crate::modules::CovariateMaps;
use crate::modules::PairEncoder;
use crate::modules::head::{GatedHead, HeadConfig};
use crate::modules::instance_norm::Centre;
use crate::modules::joint_head::{JointHead, Shares};
use crate::modules::output_noise::OutputNoise;
use vdn_autograd::Var;
use vdn_model::core::{Builder, Graph, Init, ModelError, Parameters};
use vdn_model::modules::Linear;
use vdn_model::units::{
    Activities, Intervention, LayerOutputs, MAX_DEPTH, Stack, StackOutput, StackPass, TwinUnits,
    VariationalLayer, non_finite_report,
};
use vdn_tensor::Element;

#[derive(Clone, Debug)]
enum Head {
    Gated(GatedHead),
    Joint(JointHead),
    Linear(Linear),
}

/// The forecasting model. Its weights are in [`Parameters`].
#[derive(Clone, Debug)]
pub struct Forecaster {
    config: ForecasterConfig,
    encoder: PairEncoder,
    stack: Stack,
    head: Head,
    skip: Option<Linear>,
    covariates: Option<CovariateMaps>,
    output_noise: OutputNoise,
    /// The resolved `dependence` of the configuration: never `Auto`.
    dependence: Dependence,
}

/// One recorded forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// The predictions of each sample, `[samples, batch, horizon]`.
    pub(crate) y: Var,
    /// The output deviations, broadcastable to the predictions.
    pub(crate) sigma: Var,
    /// The head's scores, `[samples, batch]`, if samples are weighted by them.
    pub(crate) scores: Option<Var>,
    /// The outputs of the layers of units; `None` for a deterministic twin.
    pub(crate) layers: LayerOutputs,
    /// The activities of the layers of units; `None` for a deterministic twin.
    pub(crate) activities: Activities,
    /// The head's input, `[samples, batch, channels]`.
    pub(crate) z: Var,
    /// The factor on the head's outputs, `[batch, 1]`.
    pub(crate) scale: Var,
    /// The additional outputs of a joint head.
    pub(crate) joint: Option<JointPass>,
}

/// The outputs of a joint head in addition to [`Pass`]. The `sigma` of that `Pass` is then each
/// step's own part of the deviation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JointPass {
    /// The total deviations, `[horizon]`, `[batch, 1]` or `[batch, horizon]`.
    pub(crate) total: Var,
    /// The noise that steps share; `None` without posteriors.
    pub(crate) shares: Option<Shares>,
}

/// The input of a pass's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// All samples of the units.
    Samples,
    /// Only the posterior means. They suffice for the joint head, whose forecasts have a closed
    /// form.
    Means,
}

impl Forecaster {
    /// Builds the model and its initial parameters. Both depend only on the configuration and the
    /// seed.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Forecaster, ForecasterConfig};
    /// let config = ForecasterConfig { input_len: 48, horizon: 12, units: 16, ..ForecasterConfig::default() };
    /// let (model, parameters) = Forecaster::new::<f32>(config, 7)?;
    /// assert_eq!(model.config().units, 16);
    /// assert!(parameters.find("neuron.mu.weight").is_some());
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails for a setting outside its domain, or for settings that contradict each other.
    pub fn new<T: Element>(
        config: ForecasterConfig,
        seed: u64,
    ) -> Result<(Self, Parameters<T>), ModelError> {
        config.validate()?;
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        let (hidden, horizon) = (config.hidden, config.horizon);
        let encoder = PairEncoder::new(
            &mut builder.scope("feat"),
            config.input_len,
            hidden,
            Some(config.kernel),
        );
        let stack = Stack::new(&mut builder, "neuron", &config.stack())?;
        let channels = stack.channels();
        let dependence = config.resolved_dependence();
        let head = match config.variant {
            Variant::ReferenceTwin => {
                Head::Linear(Linear::new(&mut builder, "head", channels, horizon))
            }
            _ if dependence != Dependence::Sampled => {
                let scope = &mut builder.scope("head");
                Head::Joint(JointHead::new(scope, channels, horizon, config.loading_correlation))
            }
            _ => {
                let head = HeadConfig {
                    channels,
                    outputs: horizon,
                    hidden: config.head_hidden,
                    gated: config.gated,
                    dropout: config.dropout,
                    zero_output: config.zero_output,
                };
                Head::Gated(GatedHead::new(&mut builder.scope("head"), head)?)
            }
        };
        // The initial skip forecasts the window's mean under every kind of centring.
        let skip_weight = match config.normalization {
            Centre::Mean => Init::Constant(0.0),
            Centre::Last | Centre::Off => Init::Constant(1.0 / config.input_len as f64),
        };
        let skip = config.skip.then(|| {
            let init = [skip_weight, Init::Constant(0.0)];
            Linear::initialised(&mut builder, "skip", [config.input_len, horizon], init)
        });
        let beside = config.covariates > 0 || config.categories > 0;
        let covariates = beside.then(|| {
            let scope = &mut builder.scope("covariates");
            CovariateMaps::new(scope, config.covariates, config.categories, [hidden, horizon])
        });
        let output_noise = OutputNoise::new(
            &mut builder.scope("y_sigma_head"),
            config.output_noise,
            hidden,
            horizon,
        );
        let this =
            Self { config, encoder, stack, head, skip, covariates, output_noise, dependence };
        Ok((this, parameters))
    }

    /// Returns the configuration of the model.
    #[must_use]
    pub fn config(&self) -> &ForecasterConfig {
        &self.config
    }

    /// Returns the first layer of distributional units. In a model of depth 1 it is the only layer.
    ///
    /// # Panics
    /// Panics if the model has no distributional unit; use [`Forecaster::stack`] to check.
    #[must_use]
    pub fn layer(&self) -> &VariationalLayer {
        self.stack.variational().next().expect("a model with distributional units")
    }

    /// Returns the layers, numbered from 0, that have posteriors, that is, distributional units.
    /// Empty for a deterministic twin.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Forecaster, ForecasterConfig};
    /// use vdn_model::units::PerLayer;
    /// let distributional_fraction = PerLayer::each(&[1.0, 0.0, 0.5])?;
    /// let config = ForecasterConfig { depth: 3, units: 8, distributional_fraction, ..ForecasterConfig::default() };
    /// let (model, _) = Forecaster::new::<f32>(config, 0)?;
    /// assert_eq!(model.distributional_layers(), [0, 2]);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    #[must_use]
    pub fn distributional_layers(&self) -> Vec<usize> {
        let layers = self.stack.layers().iter().enumerate();
        let own = layers.filter(|(_, layer)| layer.units().is_some()).map(|(index, _)| index);
        own.filter(|_| self.config.variant == Variant::Variational).collect()
    }

    /// Returns the layers of units.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Returns the number of parameters that affect the output. For example, a twin that passes on
    /// means does not use the deviations of the posteriors.
    #[must_use]
    pub fn used_parameters<T: Element>(&self, parameters: &Parameters<T>) -> usize {
        let means = matches!(self.config.variant, Variant::Twin | Variant::ReferenceTwin);
        let unused = |name: &str| {
            means && name.starts_with("neuron") && name.contains(".log_sigma")
                || self.config.aggregation != Aggregation::Score && name.starts_with("head.score")
                || self.config.variant != Variant::Variational && name == "head.loadings"
        };
        parameters.iter().filter(|p| !unused(p.name())).map(|p| p.tensor().shape().numel()).sum()
    }

    /// Returns a report on the origin of a non-finite number in this pass. `what` is the subject of
    /// its sentence.
    fn non_finite_report<T: Element>(&self, graph: &Graph<'_, T>, what: &str) -> String {
        let layers = self.stack.layers();
        non_finite_report(layers, graph.tape, graph.parameters(), graph.bindings(), what)
    }

    /// Records one forward pass. `pass` sets the sampling of the units, `intervention` the
    /// replacement of their latents.
    pub(crate) fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
        pass: StackPass,
    ) -> Result<Pass, ModelError> {
        self.forward_through(graph, batch, intervention, pass, Through::Samples)
    }

    /// [`Forecaster::forward`] for a score: a joint head reads only the posterior means.
    pub(crate) fn forward_scored<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
        pass: StackPass,
    ) -> Result<Pass, ModelError> {
        let through = match &self.head {
            Head::Joint(_) => Through::Means,
            Head::Gated(_) | Head::Linear(_) => Through::Samples,
        };
        self.forward_through(graph, batch, intervention, pass, through)
    }

    fn forward_through<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
        pass: StackPass,
        through: Through,
    ) -> Result<Pass, ModelError> {
        let rows = self.rows(batch)?;
        let [current, previous, centre, scale] = self.record_inputs(graph, batch, rows)?;
        let side = self.record_covariates(graph, batch, rows)?;
        let h = self.context(graph, [current, previous], side)?;
        let twin = |z| StackOutput { z, layers: [None; MAX_DEPTH], activities: [None; MAX_DEPTH] };
        let output = match self.config.variant {
            Variant::Variational => {
                let pass = StackPass { replaced: intervention.replaced(), ..pass };
                self.stack.forward_with(graph, h, pass)?
            }
            Variant::Twin | Variant::ReferenceTwin => {
                twin(self.stack.twin(graph, h, TwinUnits::Mean)?)
            }
            Variant::GatedTwin => twin(self.stack.twin(graph, h, TwinUnits::Gated)?),
        };
        let StackOutput { mut z, layers, activities } = output;
        if intervention == Intervention::Permute {
            z = self.stack.swapped(graph, z)?;
        }
        let want_score = self.config.aggregation == Aggregation::Score;
        let mut joint = None;
        let (mut y, scores) = match &self.head {
            Head::Gated(head) => head.forward(graph, z, want_score)?,
            Head::Linear(head) => (graph.labelled("head", |graph| head.forward(graph, z))?, None),
            Head::Joint(head) => {
                let total = self.output_noise.forward(graph, h)?;
                let mut shares = self.shares(graph, head, &layers, rows)?;
                let means = self.means(graph, z, &layers, shares.as_mut(), intervention)?;
                let gain = match &shares {
                    Some(shares) => graph.tape.mul(shares.own, total)?,
                    None => total,
                };
                joint = Some((JointPass { total, shares }, gain));
                let mut y = head.mean(graph, means, total)?;
                if let (Through::Samples, Some(shares)) = (through, &shares) {
                    let beyond = graph.tape.sub(z, means)?;
                    let noise = head.noise(graph, beyond, shares, gain)?;
                    y = graph.tape.add(noise, y)?;
                }
                (y, None)
            }
        };
        if let Some(direct) = self.direct(graph, current, side)? {
            y = graph.tape.add(y, direct)?;
        }
        let (mut joint, mut sigma) = match joint {
            Some((joint, gain)) => (Some(joint), gain),
            None => (None, self.output_noise.forward(graph, h)?),
        };
        if self.config.divide_by_deviation {
            y = graph.tape.mul(y, scale)?;
            sigma = graph.tape.mul(sigma, scale)?;
            if let Some(joint) = &mut joint {
                joint.total = graph.tape.mul(joint.total, scale)?;
            }
        }
        if !self.config.instance_norm().is_identity() {
            y = graph.tape.add(y, centre)?;
        }
        if graph.tape.shape(y).rank() == 2 {
            y = graph.tape.reshape(y, [1, rows, self.config.horizon])?;
        }
        Ok(Pass { y, sigma, scores, layers, activities, z, scale, joint })
    }

    /// Initialises the layers of units from a first batch, so that every unit starts inside its
    /// rate interval. Does nothing if the configuration's `initial_energy` is 0.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model.
    pub fn initialize<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        batch: &Batch<'_, T>,
    ) -> Result<(), ModelError> {
        if self.config.initial_energy == 0.0 {
            return Ok(());
        }
        let rows = self.rows(batch)?;
        let mut tape = vdn_autograd::Tape::new();
        let mut bindings = vdn_model::core::Bindings::new();
        let h = tape.no_grad(|tape| -> Result<Vec<T>, ModelError> {
            let key = vdn_tensor::noise::NoiseKey::new(0, 0, 0);
            let mode = vdn_model::core::Mode::Evaluate;
            let mut graph = Graph::new(tape, parameters, &mut bindings, mode, key);
            let [current, previous, _, _] = self.record_inputs(&mut graph, batch, rows)?;
            let side = self.record_covariates(&mut graph, batch, rows)?;
            let h = self.context(&mut graph, [current, previous], side)?;
            Ok(graph.tape.value(h).data().to_vec())
        })?;
        drop(tape);
        Ok(self.stack.initialize(parameters, &h, self.config.initial_energy)?)
    }
}
