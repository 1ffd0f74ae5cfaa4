//! What a forecaster is built from: plain data with the project's defaults, and the reference's values by name.

use crate::forecaster::aggregate::Aggregation;
use crate::modules::instance_norm::{Centre, InstanceNorm};
use crate::modules::output_noise::OutputNoiseMode;
use vdn_autograd::Score;
use vdn_model::ModelError;
use vdn_model::Objective;
use vdn_model::{Activation, MAX_DEPTH, PerLayer, StackLayerConfig};
use vdn_model::{LayerConfig, LayerPrior, SigmaMode, UnitFamily};
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;
use vdn_train::config::ControlledLayer;

/// Which model is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Units send samples on.
    #[default]
    Variational,
    /// The deterministic twin: the same encoder, normalisation, skip, output noise and gated head, fed with the means.
    Twin,
    /// The reference's weaker twin: a linear head on the pooled means.
    ReferenceTwin,
    /// A deterministic twin that uses every parameter: each unit sends its mean times `2 sigmoid(log sigma)`.
    GatedTwin,
}

/// The configuration of a [`Forecaster`](vdn_forecast::Forecaster).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecasterConfig {
    /// Rows of an input window, `L`.
    pub input_len: usize,
    /// Rows to forecast, `H`.
    pub horizon: usize,
    /// Width of the encoder's context.
    pub hidden: usize,
    /// Width of the moving average; 25 if `None`.
    pub kernel: Option<usize>,
    /// Units, `N`.
    pub units: usize,
    /// Latent dimensions of each unit, `K`.
    pub latent_dims: usize,
    /// How `K` samples become one activity; `None` sends all on.
    pub pooling: Option<Pool>,
    /// Where the posteriors' deviations come from.
    pub sigma: SigmaMode,
    /// The deviation that all posteriors start with.
    pub initial_sigma: f64,
    /// Samples per posterior in training, `S`.
    pub samples: usize,
    /// Samples per posterior in evaluation.
    pub evaluate_samples: usize,
    /// Whether each odd sample mirrors the noise of the one before it.
    pub antithetic: bool,
    /// What becomes of the gradient of a deviation outside its hard limits.
    pub clamp_gradient: ClampGradient,
    /// Whether the KL is wanted row by row too, as a thermostat's alive share does.
    pub emit_kl: bool,
    /// Width of the head's hidden layer.
    pub head_hidden: usize,
    /// Whether the head is gated.
    pub gated: bool,
    /// Share of the head's hidden activities dropped in training.
    pub dropout: f64,
    /// Whether the head's output layers start at zero.
    pub zero_output: bool,
    /// Per-window normalisation.
    pub normalization: InstanceNorm,
    /// Whether a linear map from the normalised window is added to every sample's prediction.
    pub skip: bool,
    /// Where the output deviation comes from.
    pub output_noise: OutputNoiseMode,
    /// How samples become a point forecast.
    pub aggregation: Aggregation,
    /// The predictive score, in nats per time step.
    pub score: Score,
    /// What training minimises.
    pub objective: Objective,
    /// The weight of every latent dimension's KL against the score in nats per time step.
    pub beta: f64,
    /// The variance of every mean over the first batch that initialises a layer; 0: no data-dependent initialisation.
    pub initial_energy: f64,
    /// Which model is built.
    pub variant: Variant,
    /// Layers of units, 1 to [`MAX_DEPTH`].
    pub depth: usize,
    /// The units of each layer, instead of `units` in every one.
    pub widths: Option<PerLayer<usize>>,
    /// The share of each layer's units that are distributions; the others send their means.
    pub distributional_fraction: PerLayer<f64>,
    /// Factors on `beta`, one for each layer.
    pub layer_beta: PerLayer<f64>,
    /// Whether layers from the second up add the activities below to their own.
    pub residual: bool,
    /// Whether layers from the second up normalise the activities below.
    pub layer_norm: bool,
    /// What layers from the second up apply to the activities below.
    pub activation: Activation,
    /// The family of the units' distributions, for each layer.
    pub family: PerLayer<UnitFamily>,
    /// What the posteriors are compared with, for each layer.
    pub prior: PerLayer<LayerPrior>,
}

impl Default for ForecasterConfig {
    fn default() -> Self {
        Self {
            input_len: 336,
            horizon: 96,
            hidden: 256,
            kernel: None,
            units: 1024,
            latent_dims: 1,
            pooling: None,
            sigma: SigmaMode::PerUnitInput,
            initial_sigma: 0.7,
            samples: 4,
            evaluate_samples: 32,
            antithetic: false,
            clamp_gradient: ClampGradient::Inward,
            emit_kl: false,
            head_hidden: 256,
            gated: true,
            dropout: 0.05,
            zero_output: true,
            normalization: InstanceNorm { centre: Centre::Mean, divide_by_deviation: false },
            skip: true,
            output_noise: OutputNoiseMode::FromContext,
            aggregation: Aggregation::Mean,
            score: Score::Marginal,
            objective: Objective::Vib,
            beta: 1e-4,
            // With sigma 0.7 a rate of 0.21 and a KL of 0.23 nats: inside the default interval [0.05, 0.30], with room to
            // fall, which the first epochs use.
            initial_energy: 0.25,
            variant: Variant::Variational,
            depth: 1,
            widths: None,
            distributional_fraction: PerLayer::all(1.0),
            layer_beta: PerLayer::all(1.0),
            residual: false,
            layer_norm: false,
            activation: Activation::Gelu,
            family: PerLayer::all(UnitFamily::Normal),
            prior: PerLayer::all(LayerPrior::Standard),
        }
    }
}

impl ForecasterConfig {
    /// The reference implementation's model: no normalisation, no skip, constant output noise, one deviation per unit
    /// starting at 0.5, the tempered score, its head width, its initialisation, its clamp.
    ///
    /// ```
    /// use vdn_forecast::{ForecasterConfig, OutputNoiseMode};
    /// let config = ForecasterConfig::compatibility();
    /// assert_eq!(config.output_noise, OutputNoiseMode::Constant);
    /// assert!(!config.skip);
    /// ```
    #[must_use]
    pub fn compatibility() -> Self {
        let base = Self::default();
        Self {
            sigma: SigmaMode::PerUnit,
            initial_sigma: 0.5,
            pooling: Some(Pool::Mean),
            clamp_gradient: ClampGradient::Zero,
            head_hidden: base.horizon.max((base.units / 2).min(512)),
            zero_output: false,
            normalization: InstanceNorm { centre: Centre::Off, divide_by_deviation: false },
            skip: false,
            output_noise: OutputNoiseMode::Constant,
            score: Score::Tempered,
            initial_energy: 0.0,
            ..base
        }
    }

    /// The units of layer number `layer`, from 0, distributional or not.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        self.widths.map_or(self.units, |widths| widths.get(layer))
    }

    /// The weight of the KL of every latent dimension of a layer, against the score in nats per time step.
    #[must_use]
    pub fn beta_of(&self, layer: usize) -> f64 {
        self.beta * self.layer_beta.get(layer)
    }

    /// The layers as controllers see them: `None` for a layer without distributional units, as all layers of a twin.
    #[must_use]
    pub fn controlled_layers(&self) -> Vec<Option<ControlledLayer>> {
        let of = |(index, layer): (usize, &StackLayerConfig)| match self.variant {
            Variant::Variational => {
                ControlledLayer::new(layer, self.objective, self.beta_of(index))
            }
            Variant::Twin | Variant::ReferenceTwin | Variant::GatedTwin => None,
        };
        self.stack().iter().enumerate().map(of).collect()
    }

    /// The distributional units of the first layer.
    #[must_use]
    pub fn layer(&self) -> LayerConfig {
        let first = self.stack_layer(0);
        LayerConfig { units: first.distributional(), ..first.layer }
    }

    /// The layers of units that this configuration asks for.
    #[must_use]
    pub fn stack(&self) -> Vec<StackLayerConfig> {
        (0..self.depth.min(MAX_DEPTH)).map(|layer| self.stack_layer(layer)).collect()
    }

    fn stack_layer(&self, index: usize) -> StackLayerConfig {
        let layer = LayerConfig {
            inputs: self.hidden,
            units: self.width(index),
            latent_dims: self.latent_dims,
            sigma: self.sigma,
            initial_sigma: self.initial_sigma,
            pooling: self.pooling,
            train_samples: self.samples,
            evaluate_samples: self.evaluate_samples,
            antithetic: self.antithetic,
            clamp_gradient: self.clamp_gradient,
            emit_kl: self.emit_kl,
            family: self.family.get(index),
            prior: self.prior.get(index),
        };
        // The first layer sees the encoder's context, which is activated and normalised.
        let upper = index > 0;
        StackLayerConfig {
            layer,
            distributional_fraction: self.distributional_fraction.get(index),
            activation: if upper { self.activation } else { Activation::Identity },
            layer_norm: upper && self.layer_norm,
            residual: upper && self.residual,
        }
    }

    /// Checks every setting and every pair of settings that can contradict each other.
    ///
    /// # Errors
    /// The first that is wrong, named.
    pub fn validate(&self) -> Result<(), ModelError> {
        let counts = [
            ("input_len", self.input_len),
            ("horizon", self.horizon),
            ("head_hidden", self.head_hidden),
        ];
        for (setting, count) in counts {
            if count == 0 {
                return Err(ModelError::config(setting, "0, has to be at least 1"));
            }
        }
        self.validate_depth()?;
        self.validate_sizes()?;
        let domains = [
            ("dropout", self.dropout, (0.0..1.0).contains(&self.dropout), "in [0, 1)"),
            ("beta", self.beta, self.beta >= 0.0 && self.beta.is_finite(), "at least 0"),
            ("initial_energy", self.initial_energy, self.initial_energy >= 0.0, "at least 0"),
        ];
        for (setting, value, good, domain) in domains {
            if !good {
                return Err(ModelError::config(setting, format!("{value}, has to be {domain}")));
            }
        }
        if self.objective != Objective::Vib && self.variant != Variant::Variational {
            let reason = "elbo and iwae need posteriors, a deterministic twin has none";
            return Err(ModelError::config("objective", reason));
        }
        if self.objective != Objective::Vib && self.aggregation == Aggregation::Score {
            let reason = "elbo and iwae weigh samples themselves, score aggregation does too";
            return Err(ModelError::config("aggregation", reason));
        }
        Ok(())
    }

    fn validate_depth(&self) -> Result<(), ModelError> {
        let depth = self.depth;
        if !(1..=MAX_DEPTH).contains(&depth) {
            let reason = format!("{depth}, has to be 1 to {MAX_DEPTH}");
            return Err(ModelError::config("depth", reason));
        }
        self.widths.map_or(Ok(()), |widths| widths.fits("widths", depth))?;
        self.distributional_fraction.fits("distributional_fraction", depth)?;
        self.layer_beta.fits("layer_beta", depth)?;
        self.family.fits("family", depth)?;
        self.prior.fits("prior", depth)?;
        let layers = self.stack();
        layers.iter().try_for_each(StackLayerConfig::validate)?;
        for layer in 0..depth {
            let factor = self.layer_beta.get(layer);
            if !(factor >= 0.0 && factor.is_finite()) {
                let reason = format!("{factor} for layer {}, has to be at least 0", layer + 1);
                return Err(ModelError::config("layer_beta", reason));
            }
        }
        let with_posteriors = || layers.iter().filter(|layer| layer.distributional() > 0);
        let distributional = with_posteriors().next().is_some();
        if self.objective != Objective::Vib && !distributional {
            let reason = "elbo and iwae need posteriors, distributional_fraction 0 leaves none";
            return Err(ModelError::config("objective", reason));
        }
        let gaussian = with_posteriors().all(|layer| layer.layer.family.is_gaussian());
        if self.objective == Objective::Iwae && !gaussian {
            let reason = "iwae weighs samples of normal or log-normal units only";
            return Err(ModelError::config("objective", reason));
        }
        if self.variant == Variant::ReferenceTwin && depth > 1 {
            let reason = format!("{depth}: the reference's twin has one layer");
            return Err(ModelError::config("depth", reason));
        }
        Ok(())
    }

    /// Refuses sizes that no memory holds: each at most 2^24, and every weight matrix at most 2^30 numbers.
    fn validate_sizes(&self) -> Result<(), ModelError> {
        let widest = (0..self.depth).map(|layer| self.width(layer)).max().unwrap_or(0);
        let sizes = [
            ("input_len", self.input_len),
            ("horizon", self.horizon),
            ("hidden", self.hidden),
            ("head_hidden", self.head_hidden),
            ("units", widest),
            ("latent_dims", self.latent_dims),
            ("samples", self.samples),
            ("evaluate_samples", self.evaluate_samples),
        ];
        for (setting, size) in sizes {
            if size > 1 << 24 {
                return Err(ModelError::config(setting, format!("{size}, has to be at most 2^24")));
            }
        }
        // Products of two numbers up to 2^24, and one more factor up to 2^24, do not overflow 128 bits.
        let wide = |x: usize| x as u128;
        let latent = wide(widest) * wide(self.latent_dims);
        let weights = [
            ("units times latent_dims times hidden", latent * wide(self.hidden)),
            ("units times latent_dims times head_hidden", latent * wide(self.head_hidden)),
            ("units times latent_dims times horizon", latent * wide(self.horizon)),
            ("units times latent_dims, squared", if self.depth > 1 { latent * latent } else { 0 }),
            ("input_len times hidden", wide(self.input_len) * wide(self.hidden)),
            ("input_len times horizon", wide(self.input_len) * wide(self.horizon)),
            ("hidden squared, three times", 3 * wide(self.hidden) * wide(self.hidden)),
            ("head_hidden times horizon", wide(self.head_hidden) * wide(self.horizon)),
            ("hidden times horizon", wide(self.hidden) * wide(self.horizon)),
        ];
        for (setting, size) in weights {
            if size > 1 << 30 {
                let reason = format!("{size} numbers in one weight, at most 2^30 are supported");
                return Err(ModelError::config(setting, reason));
            }
        }
        Ok(())
    }
}
