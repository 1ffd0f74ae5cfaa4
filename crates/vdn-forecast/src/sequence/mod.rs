//! [`SequenceForecaster`]: a probabilistic forecaster of sequences, with variational units along
//! time.
//!
//! ```text
//! p(x, z) = prod_t p(x_t | z_t, features_t) p(z_t | z_{t-1}, ...)
//! q(z | x) = prod_t q(z_t | z_{t-1}, h_t),       h_t from the last `window` observations
//! ```
//!
//! The encoder is causal. So the posterior is a filter, and the model can process sequences as they
//! arrive.

mod blocks;
mod bound;
mod config;
mod diagnostics;
mod emission;
mod forecast;
mod network;
mod particles;
mod persistence;
mod segments;
mod series;
mod student_t;

pub use bound::SequenceBound;
pub use config::{EmissionFamily, PriorConfig, SequenceForecasterConfig};
pub use forecast::SequenceForecast;
pub use network::SequenceTraining;
pub use particles::{ParticleConfig, Particles};
pub use segments::{LongSeries, SegmentBuffers, SegmentIndex, Segments};
pub use series::Series;

use blocks::Pass;
use emission::Emission;
use vdn_autograd::{Error, Tape, Var};
use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::modules::MlpEncoder;
use vdn_model::sequence::{
    Checkpointed, Checkpoints, SequenceLayer, SequenceLayerConfig, checkpointed, unroll_terms,
};
use vdn_tensor::Element;

/// The training objective: the evidence lower bound with a weight on its KL divergence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceObjective {
    /// The number of trajectories per sequence.
    pub samples: usize,
    /// The weight of the KL divergence; 1 gives the evidence lower bound.
    pub beta: f64,
}

impl Default for SequenceObjective {
    fn default() -> Self {
        Self { samples: 4, beta: 1.0 }
    }
}

/// The loss of a batch of sequences.
#[derive(Clone, Copy, Debug)]
pub struct SequenceLoss {
    /// `(-log-likelihood + beta KL) / steps`, averaged over sequences, in nats per step, shape
    /// `[]`.
    pub loss: Var,
    /// `E ln p(x | z)` in nats per sequence, averaged over sequences and samples.
    pub log_likelihood: f64,
    /// The KL divergence from the prior in nats per sequence, averaged over sequences and samples.
    pub kl: f64,
}

impl SequenceLoss {
    /// Returns the evidence lower bound in nats per sequence.
    #[must_use]
    pub fn elbo(&self) -> f64 {
        self.log_likelihood - self.kl
    }
}

/// A forecaster of sequences. Its weights are in [`Parameters`].
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_forecast::sequence::{
///     ParticleConfig, SequenceForecaster, SequenceForecasterConfig, SequenceObjective, Series,
/// };
/// use vdn_model::core::{Bindings, Graph, Mode};
/// use vdn_tensor::noise::NoiseKey;
/// let config = SequenceForecasterConfig { units: 3, hidden: vec![8], ..Default::default() };
/// let (model, parameters) = SequenceForecaster::new::<f32>(config, 0)?;
/// let x: Vec<f32> = (0..40).map(|t| (t as f32 / 5.0).sin()).collect();
/// let series = Series::new(model.config(), &x, &[], 2)?; // two sequences of twenty steps
/// let (mut tape, mut bindings, key) = (Tape::new(), Bindings::new(), NoiseKey::new(1, 0, 0));
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// let loss = model.loss(&mut graph, series, SequenceObjective::default())?;
/// assert!((f64::from(tape.scalar(loss.loss)?) * 20.0 + loss.elbo()).abs() < 1e-3);
/// tape.backward(loss.loss)?;
///
/// let filter = model.filter(&parameters, series, ParticleConfig { particles: 64, noise: key })?;
/// let forecast = model.forecast(&parameters, &filter, &[], 5, key)?;
/// let [low, high] = forecast.interval(1, 4, 0, 0.9)?; // sequence 1, five steps ahead
/// assert!(low < forecast.mean(1, 4, 0) && forecast.mean(1, 4, 0) < high);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SequenceForecaster {
    config: SequenceForecasterConfig,
    encoder: MlpEncoder,
    layer: SequenceLayer,
    emission: Emission,
    training: SequenceTraining,
}

impl SequenceForecaster {
    /// Builds a model and its parameters, drawn from `seed`. Parameters that two configurations
    /// have in common are initialised with the same values.
    ///
    /// # Errors
    /// The errors of [`SequenceForecasterConfig::validate`]; a prior outside its domain.
    pub fn new<T: Element>(
        config: SequenceForecasterConfig,
        seed: u64,
    ) -> Result<(Self, Parameters<T>), ModelError> {
        config.validate()?;
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        let features = config.features();
        let encoder = MlpEncoder::new(&mut builder.scope("encoder"), features, &config.hidden);
        let context = features + config.hidden.last().copied().unwrap_or(features);
        let prior = config.prior.build(&mut builder.scope("prior"), config.units)?;
        let units = SequenceLayerConfig {
            posterior: config.posterior,
            initial_scale: config.initial_message,
            ..SequenceLayerConfig::new(context, config.units)
        };
        let layer = SequenceLayer::new(&mut builder.scope("units"), prior, units)?;
        let emission = Emission::new(&mut builder.scope("emission"), &config)?;
        let training = SequenceTraining::default();
        Ok((Self { config, encoder, layer, emission, training }, parameters))
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &SequenceForecasterConfig {
        &self.config
    }

    fn pass<'a, T: Element>(
        &'a self,
        series: Series<'a, T>,
        samples: usize,
    ) -> Result<Pass<'a, T>, ModelError> {
        series.check(&self.config)?;
        if samples == 0 {
            return Err(Error::invalid("sequence_forecaster", "no samples").into());
        }
        Ok(Pass { model: self, series, samples })
    }

    /// Records the negative evidence lower bound of a batch of sequences (for `beta` 1). The memory
    /// of the tape is linear in the number of steps.
    ///
    /// # Errors
    /// Fails for a series of another model, for zero samples, and for missing steps with a
    /// posterior other than the structured one.
    pub fn loss<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        series: Series<'_, T>,
        objective: SequenceObjective,
    ) -> Result<SequenceLoss, ModelError> {
        let pass = self.pass(series, objective.samples)?;
        let totals = unroll_terms(graph, &pass, pass.blocks())?;
        let [misfit, kl] = [graph.tape.scalar(totals[0])?, graph.tape.scalar(totals[1])?];
        let loss = weighted(graph.tape, &totals, series.steps(), objective.beta)?;
        Ok(SequenceLoss { loss, log_likelihood: -misfit.to_f64(), kl: kl.to_f64() })
    }

    /// Computes the gradients of [`SequenceForecaster::loss`], equal to the last bit, with memory
    /// that grows with the square root of the number of steps. The totals are the negative
    /// log-likelihood and the KL divergence in nats per sequence. A segment of `how` counts blocks
    /// of sixteen steps.
    ///
    /// # Errors
    /// The errors of [`SequenceForecaster::loss`].
    pub fn checkpointed<T: Element>(
        &self,
        tape: &mut Tape<T>,
        parameters: &Parameters<T>,
        series: Series<'_, T>,
        objective: SequenceObjective,
        how: Checkpoints,
    ) -> Result<Checkpointed<T>, ModelError> {
        let pass = self.pass(series, objective.samples)?;
        let weights = weights(series.steps(), objective.beta).map(T::from_f64);
        checkpointed(tape, parameters, &pass, pass.blocks(), &weights, how)
    }
}

/// Records the loss in nats per step, from the totals: negative log-likelihood and KL divergence.
fn weighted<T: Element>(
    tape: &mut Tape<T>,
    totals: &[Var],
    steps: usize,
    beta: f64,
) -> Result<Var, Error> {
    let [of_misfit, of_kl] = weights(steps, beta);
    let misfit = tape.scale(totals[0], T::from_f64(of_misfit))?;
    let cost = tape.scale(totals[1], T::from_f64(of_kl))?;
    tape.add(misfit, cost)
}

/// Returns the weights of the negative log-likelihood and the KL divergence in the loss.
fn weights(steps: usize, beta: f64) -> [f64; 2] {
    [1.0 / steps as f64, beta / steps as f64]
}
