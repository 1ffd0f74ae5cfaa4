//! [`VariationalLayer`]: N units, each a small VAE with K latent dimensions.
//!
//! A context `h` goes in; each unit forms its posterior `Normal(mu(h), sigma^2)`, draws samples, and sends them on. The
//! statistics that its KL, rate and constraints follow from come out beside them.

use crate::controllers::SigmaLever;
use crate::error::ModelError;
use crate::graph::{Graph, Mode};
use crate::init::{Builder, Init};
use crate::linear::Linear;
use crate::parameter::{ParameterId, Parameters};
use crate::priors::Prior;
use vdn_autograd::{Error, Noise, SampleKl, UnitOutputs, Var};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;

/// Where the deviations of the posteriors come from. The parameter, and the output of the head, is `log sigma`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigmaMode {
    /// One parameter for the whole layer.
    Scalar,
    /// One parameter for each latent dimension.
    PerUnit,
    /// A second linear head on the context: the amortised posterior.
    #[default]
    PerUnitInput,
}

/// What a layer is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerConfig {
    /// Width of the context.
    pub inputs: usize,
    /// Units, `N`.
    pub units: usize,
    /// Latent dimensions of each unit, `K`.
    pub latent_dims: usize,
    /// Where the deviations come from.
    pub sigma: SigmaMode,
    /// The deviation that all posteriors start with.
    pub initial_sigma: f64,
    /// How the `K` samples of a unit become one activity; `None` sends all of them on.
    pub pooling: Option<Pool>,
    /// Samples of each posterior in training, `S`.
    pub train_samples: usize,
    /// Samples of each posterior in evaluation.
    pub evaluate_samples: usize,
    /// Whether each odd sample mirrors the noise of the one before it.
    pub antithetic: bool,
    /// What becomes of the gradient of a deviation outside its hard limits.
    pub clamp_gradient: ClampGradient,
    /// Whether the KL is wanted element by element too ([`UnitOutputs::kl`]); its statistics always are.
    pub emit_kl: bool,
}

impl Default for LayerConfig {
    fn default() -> Self {
        Self {
            inputs: 256,
            units: 1024,
            latent_dims: 1,
            sigma: SigmaMode::PerUnitInput,
            initial_sigma: 0.7,
            pooling: None,
            train_samples: 4,
            evaluate_samples: 32,
            antithetic: false,
            clamp_gradient: ClampGradient::Inward,
            emit_kl: false,
        }
    }
}

impl LayerConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that is outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        let counts = [
            ("units", self.units),
            ("latent_dims", self.latent_dims),
            ("samples", self.train_samples),
            ("evaluate_samples", self.evaluate_samples),
            ("hidden", self.inputs),
        ];
        for (setting, count) in counts {
            if count == 0 {
                return Err(ModelError::config(setting, "0, has to be at least 1"));
            }
        }
        if !(1e-4..=10.0).contains(&self.initial_sigma) {
            let reason = format!("{}, has to be in [1e-4, 10]", self.initial_sigma);
            return Err(ModelError::config("initial_sigma", reason));
        }
        Ok(())
    }

    /// The number of activities that the layer sends on: units, or units times latent dimensions.
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.pooling.is_some() { self.units } else { self.units * self.latent_dims }
    }
}

/// The largest factor of the data-dependent initialisation, that of the reference's projection onto a band.
const LARGEST_RESCALE: f64 = 50.0;

#[derive(Clone, Debug)]
enum Sigma {
    Parameter(ParameterId),
    Head(Linear),
}

/// A layer of variational units.
#[derive(Clone, Debug)]
pub struct VariationalLayer {
    label: String,
    config: LayerConfig,
    prior: Prior,
    mu: Linear,
    sigma: Sigma,
    stream: u32,
}

/// What a layer gives.
#[derive(Clone, Copy, Debug)]
pub struct LayerOutput {
    /// The activities sent on, `[samples, batch, channels]`.
    pub z: Var,
    /// The means, `[batch, units * latent dims]`.
    pub mu: Var,
    /// The log-variances before their limits: `[batch, units * latent dims]`, `[units * latent dims]` or `[]`.
    pub logvar: Var,
    /// Samples and statistics for each latent dimension.
    pub units: UnitOutputs,
}

impl VariationalLayer {
    /// A layer; `stream` is the noise stream it uses alone.
    ///
    /// # Errors
    /// A setting outside its domain.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: LayerConfig,
        stream: u32,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let label = builder.label().to_owned();
        let dims = config.units * config.latent_dims;
        let mu = Linear::new(builder, "mu", config.inputs, dims);
        let start = Init::Constant(config.initial_sigma.ln());
        let sigma = match config.sigma {
            SigmaMode::Scalar => Sigma::Parameter(builder.add("log_sigma", [], start)),
            SigmaMode::PerUnit => Sigma::Parameter(builder.add(
                "log_sigma",
                [config.units, config.latent_dims],
                start,
            )),
            SigmaMode::PerUnitInput => {
                // Small weights: every posterior starts near the initial deviation, whatever its input.
                let bound = 0.1 / (config.inputs as f64).sqrt();
                let weight = Init::Uniform(bound);
                Sigma::Head(Linear::with_init(
                    builder,
                    "log_sigma_layer",
                    config.inputs,
                    dims,
                    weight,
                    start,
                ))
            }
        };
        Ok(Self { label, config, prior: Prior::StandardNormal, mu, sigma, stream })
    }

    /// The unit that an element of one of the layer's tensors belongs to, from the tensor's shape and the element's
    /// position: its parameters by their first axis, activities and statistics by their last. `None` for a tensor that
    /// has no axis of units.
    #[must_use]
    pub fn unit_at(&self, shape: &[usize], index: &[usize], parameter: bool) -> Option<usize> {
        let LayerConfig { units, latent_dims, .. } = self.config;
        let axis = if parameter { 0 } else { shape.len().checked_sub(1)? };
        let (&size, &at) = (shape.get(axis)?, index.get(axis)?);
        match size {
            _ if size == units * latent_dims => Some(at / latent_dims),
            _ if size == units => Some(at),
            _ => None,
        }
    }

    /// What it was built from.
    #[must_use]
    pub fn config(&self) -> &LayerConfig {
        &self.config
    }

    /// The prior of every unit.
    #[must_use]
    pub fn prior(&self) -> Prior {
        self.prior
    }

    /// The name that reports and parameters of the layer begin with.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The noise stream of the layer.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// The means of the posteriors alone, `[batch, units * latent dims]`: what the deterministic twin sends on.
    ///
    /// # Errors
    /// A context of another width.
    pub fn means<T: Element>(&self, graph: &mut Graph<'_, T>, h: Var) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| self.mu.forward(graph, h))
    }

    /// Records the layer on the context `h` `[batch, inputs]`, with addressed noise.
    ///
    /// # Errors
    /// A context of another width.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
    ) -> Result<LayerOutput, Error> {
        let samples = match graph.mode() {
            Mode::Train => self.config.train_samples,
            Mode::Evaluate => self.config.evaluate_samples,
        };
        let noise = Noise::Addressed(graph.noise(self.stream));
        self.forward_with(graph, h, samples, noise)
    }

    /// Records the layer with so many samples and this noise.
    ///
    /// # Errors
    /// A context of another width; noise of another shape than `[samples, batch, units * latent dims]`.
    pub fn forward_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        samples: usize,
        noise: Noise,
    ) -> Result<LayerOutput, Error> {
        graph.labelled(&self.label, |graph| {
            let mu = self.mu.forward(graph, h)?;
            let log_sigma = match &self.sigma {
                Sigma::Head(head) => head.forward(graph, h)?,
                Sigma::Parameter(id) => {
                    let var = graph.parameter(*id);
                    match self.config.sigma {
                        SigmaMode::Scalar => var,
                        _ => graph
                            .tape
                            .reshape(var, [self.config.units * self.config.latent_dims])?,
                    }
                }
            };
            let logvar = graph.tape.scale(log_sigma, T::from_f64(2.0))?;
            let how = SampleKl {
                antithetic: self.config.antithetic && matches!(noise, Noise::Addressed(_)),
                clamp_gradient: self.config.clamp_gradient,
                emit_kl: self.config.emit_kl,
                ..SampleKl::new(samples, noise)
            };
            let units = graph.tape.sample_kl(mu, logvar, how)?;
            let z = match self.config.pooling {
                // The pool of one value is that value.
                Some(pool) if self.config.latent_dims > 1 => {
                    graph.tape.pool(units.z, self.config.latent_dims, pool)?
                }
                _ => units.z,
            };
            Ok(LayerOutput { z, mu, logvar, units })
        })
    }

    /// The parameters of the mean head: `weight [units * latent dims, inputs]` and `bias [units * latent dims]`.
    #[must_use]
    pub fn mean_parameters(&self) -> [ParameterId; 2] {
        [self.mu.weight(), self.mu.bias()]
    }

    /// What the sum over a unit's means is multiplied by when they are pooled (their mean, if they are sent on as they
    /// are).
    pub(crate) fn pool_factor(&self) -> f64 {
        let k = self.config.latent_dims as f64;
        match self.config.pooling.unwrap_or(Pool::Mean) {
            Pool::Mean => 1.0 / k,
            Pool::Sum => 1.0,
            Pool::SumSqrtK => 1.0 / k.sqrt(),
        }
    }

    /// Multiplies each unit's rows of the mean head, weight and bias, by `gain` `[units]`.
    ///
    /// # Panics
    /// `gain` has another number of units.
    pub fn rescale_means<T: Element>(&self, parameters: &mut Parameters<T>, gain: &[f64]) {
        assert_eq!(gain.len(), self.config.units, "factors of another layer");
        for id in self.mean_parameters() {
            let data = parameters.data_mut(id.index());
            let rows = data.len() / gain.len();
            for (rows, &gain) in data.chunks_exact_mut(rows).zip(gain) {
                if gain != 1.0 {
                    rows.iter_mut().for_each(|w| *w = T::from_f64(w.to_f64() * gain));
                }
            }
        }
    }

    /// Limits and lifts the parameter `log sigma`; nothing is done where deviations come from a head.
    pub fn guard_sigma<T: Element>(&self, parameters: &mut Parameters<T>, lever: &SigmaLever) {
        let (Sigma::Parameter(id), Some([low, high])) = (&self.sigma, lever.range) else { return };
        let data = parameters.data_mut(id.index());
        let per_unit = self.config.sigma == SigmaMode::PerUnit;
        let k = self.config.latent_dims;
        for (i, x) in data.iter_mut().enumerate() {
            let kick = if per_unit { lever.kick[i / k] } else { 0.0 };
            let limited = x.to_f64().max(low).min(high);
            *x = T::from_f64((limited + kick).max(low).min(high));
        }
    }

    /// The posterior of each unit's pooled activity as the reference reports it, both `[batch, units]`: the pooled mean,
    /// and the root of the mean of the `K` variances.
    ///
    /// # Errors
    /// The output of another layer.
    pub fn pooled_posterior<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        output: &LayerOutput,
    ) -> Result<[Var; 2], Error> {
        let LayerConfig { units, latent_dims, pooling, .. } = self.config;
        let tape = &mut *graph.tape;
        let batch = tape.shape(output.mu).rows();
        let mu = tape.reshape(output.mu, [1, batch, units * latent_dims])?;
        let mu = tape.pool(mu, latent_dims, pooling.unwrap_or(Pool::Mean))?;
        let mu = tape.reshape(mu, [batch, units])?;
        let [low, high] = [LOGVAR_MIN, LOGVAR_MAX].map(T::from_f64);
        let limited = tape.clamp(output.logvar, low, high)?;
        let variance = tape.exp(limited)?;
        let variance = tape.broadcast_to(variance, [batch, units * latent_dims])?;
        let variance = tape.reshape(variance, [batch, units, latent_dims])?;
        let mean = tape.mean_axis(variance, 2)?;
        Ok([mu, tape.sqrt(mean)?])
    }

    /// Data-dependent initialisation: rescales and shifts the mean head so that, on the contexts `h` `[batch, inputs]`,
    /// every latent dimension has mean 0 and the variance `variance`. With the initial deviation this puts each unit
    /// inside its rate interval before the first step.
    ///
    /// Weights change by a factor of at most 50 either way, so that a unit that happens not to vary on these contexts is
    /// not blown up; one that does not vary at all keeps its weights.
    pub fn initialize<T: Element>(&self, parameters: &mut Parameters<T>, h: &[T], variance: f64) {
        let inputs = self.config.inputs;
        let rows = h.len() / inputs;
        if rows < 2 {
            return;
        }
        let weight = parameters.get(self.mu.weight()).tensor().data().to_vec();
        let (weight_index, bias_index) = (self.mu.weight().index(), self.mu.bias().index());
        for (unit, weight) in weight.chunks_exact(inputs).enumerate() {
            let dot = |row: &[T]| -> f64 {
                row.iter().zip(weight).map(|(x, w)| x.to_f64() * w.to_f64()).sum()
            };
            let mean = h.chunks_exact(inputs).map(dot).sum::<f64>() / rows as f64;
            let squares: f64 = h.chunks_exact(inputs).map(|row| (dot(row) - mean).powi(2)).sum();
            let spread = squares / rows as f64;
            let factor = (variance / spread).sqrt().clamp(1.0 / LARGEST_RESCALE, LARGEST_RESCALE);
            if !(spread.is_finite() && spread > 0.0) {
                continue;
            }
            let row = &mut parameters.data_mut(weight_index)[unit * inputs..][..inputs];
            row.iter_mut().for_each(|w| *w *= T::from_f64(factor));
            parameters.data_mut(bias_index)[unit] = T::from_f64(-mean * factor);
        }
    }
}
