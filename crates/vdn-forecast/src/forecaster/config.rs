//! What a forecaster is built from: plain data with the project's defaults, and the reference's
//! values by name.

use crate::forecaster::aggregate::Aggregation;
use crate::modules::instance_norm::{Centre, InstanceNorm};
use crate::modules::output_noise::OutputNoiseMode;
use crate::modules::pair_encoder::DEFAULT_KERNEL;
use serde::{Deserialize, Serialize, Serializer};
use vdn_autograd::Score;
use vdn_model::objective::Objective;
use vdn_model::units::{
    Activation, LayerConfig, LayerPrior, MAX_DEPTH, PerLayer, SigmaMode, StackLayerConfig,
    UnitFamily,
};
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;
use vdn_train::config::ControlledLayer;

/// Whose values the settings start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// This project's.
    #[default]
    None,
    /// Those of the reference implementation.
    Reference,
}

/// Which model is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Units send samples on.
    #[default]
    Variational,
    /// The deterministic twin: the same encoder, normalisation, skip, output noise and head, fed
    /// with the means.
    Twin,
    /// The reference's weaker twin: a linear head on the pooled means.
    ReferenceTwin,
    /// A deterministic twin that uses every parameter: each unit sends its mean times `2
    /// sigmoid(log sigma)`.
    GatedTwin,
}

/// What the joint distribution of a window's steps is, and how training scores it.
///
/// Given the input, the steps of a forecast err together, and only noise that all steps share can
/// say so: that of the units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependence {
    /// `split` where that has a closed form, else `sampled`
    /// ([`ForecasterConfig::resolved_dependence`]).
    #[default]
    Auto,
    /// What comes of the units' samples through the gated head; training scores samples, as `score`
    /// says.
    Sampled,
    /// The closed form of a [`JointHead`](crate::modules::JointHead), a mixture of two normal
    /// distributions ([`SharedNoise`](crate::forecaster::SharedNoise)); training scores whole
    /// windows by its density.
    Joint,
    /// The same closed form; training scores single steps, and beside that the dependence between
    /// steps: the density of the window less those of its steps, whose gradient reaches no mean and
    /// no deviation of a step.
    Split,
}

/// The configuration of a [`Forecaster`](crate::forecaster::Forecaster): in a file the table
/// `[model]`.
///
/// A setting for each layer is one value for all, or a list with one for each from the first up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForecasterConfig {
    /// Whose values the settings started from: `none` (this project's, the default) or `reference`.
    /// Runs take the reference's twin and its rules of control by it; the forecaster itself does
    /// not look at it.
    pub compatibility: Compatibility,
    /// Rows of an input window, `L`, at least 1; 336. In a file the key is `data.input_len`.
    #[serde(skip)]
    pub input_len: usize,
    /// Rows to forecast, `H`, at least 1; 96. In a file the key is `data.horizon`.
    #[serde(skip)]
    pub horizon: usize,
    /// Numbers that a window has beside its values (`Dataset::covariate_numbers`), 0; not a setting
    /// of a file: the data say how many.
    #[serde(skip)]
    pub covariates: usize,
    /// Categories of static columns (`Covariates::categories`), 0; not a setting of a file.
    #[serde(skip)]
    pub categories: usize,
    /// Which model is built: `variational`, the default, `twin`, `reference_twin` or `gated_twin`.
    pub variant: Variant,
    /// Width of the encoder's context, at least 1; 256.
    pub hidden: usize,
    /// Width of the moving average in rows, at least 1; 25. It is limited to the window and made
    /// odd.
    pub kernel: usize,
    /// Units of each layer, `N`, at least 1; 64.
    pub units: usize,
    /// Latent dimensions of each unit, `K`, at least 1; 1.
    pub latent_dims: usize,
    /// How `K` samples become one activity: `mean`, `sum` or `sum_sqrtk`; `none`, the default,
    /// sends all on.
    #[serde(serialize_with = "or_none")]
    pub pooling: Option<Pool>,
    /// Where the posteriors' deviations come from: `per_unit_input`, the default, `per_unit` or
    /// `scalar`.
    pub sigma: SigmaMode,
    /// The deviation that all posteriors start with, in [1e-4, 10]; 0.7.
    pub initial_sigma: f64,
    /// Samples per posterior in training, `S`, at least 1; 4.
    pub samples: usize,
    /// Samples per posterior in evaluation, at least 1; 32.
    pub evaluate_samples: usize,
    /// Whether each odd sample mirrors the noise of the one before it; false. For normal and
    /// log-normal units.
    pub antithetic: bool,
    /// What becomes of the gradient of a deviation outside its hard limits: `inward`, the default,
    /// passes it where it leads back inside, `zero` drops it.
    pub clamp_gradient: ClampGradient,
    /// Width of the head's hidden layer, at least 1; 256.
    pub head_hidden: usize,
    /// Whether the head is gated; true.
    pub gated: bool,
    /// Share of the head's hidden activities dropped in training, in [0, 1); 0.05.
    pub dropout: f64,
    /// Whether the head's output layers start at zero; true.
    pub zero_output: bool,
    /// What is subtracted from a window before the encoder: its `mean`, the default, its `last`
    /// value, or nothing, `off`.
    pub normalization: Centre,
    /// Whether a window is divided by its deviation plus 0.1, too; false.
    pub divide_by_deviation: bool,
    /// Whether a linear map from the normalised window is added to every sample's prediction; true.
    pub skip: bool,
    /// Where the output deviation comes from: `from_context`, the default, or `constant`.
    pub output_noise: OutputNoiseMode,
    /// How samples become a point forecast: `mean`, the default, `median`, `lower_median` or
    /// `score`.
    pub aggregation: Aggregation,
    /// The predictive score, in nats per time step: `marginal`, the default, `tempered` or `joint`.
    pub score: Score,
    /// What the joint distribution of steps is, and how it is trained: `auto`, the default,
    /// `sampled`, `joint` or `split`. The last two have a closed form, for one layer of normal
    /// units, all distributions, with one latent dimension and the standard prior, scored
    /// marginally under the objective `vib`, with `aggregation = "mean"`. Their head is affine:
    /// `head_hidden`, `gated`, `dropout` and `zero_output` say nothing then, and neither do
    /// `samples`, `evaluate_samples` and `antithetic`. Where a run takes `sampled`, its defaults
    /// are `units` 1024, `beta` 1e-4, in `[train]` a `batch` of 128 and `ema_decay` 0, and in
    /// `[control.rate]` a `low` of 0.08.
    pub dependence: Dependence,
    /// The correlation of each unit's weights in the shared noise of neighbouring steps, at the
    /// start of training, in [0, 1); 0.5. Beyond 0 training moves such weights together, so that
    /// sampled paths have smoother increments. It says nothing where `dependence` is `sampled`.
    pub loading_correlation: f64,
    /// What training minimises: `vib`, the default, `elbo` or `iwae`.
    pub objective: Objective,
    /// The weight of every latent dimension's KL against the score in nats per time step, finite
    /// and at least 0; 0.01, about the price of the bound, `1/H`, at a horizon of 100.
    pub beta: f64,
    /// The variance of every mean over the first batch that initialises a layer, finite and at
    /// least 0; 0.25. 0: no data-dependent initialisation.
    pub initial_energy: f64,
    /// Layers of units, 1 to [`MAX_DEPTH`]; 1, in a file the number of `widths`.
    pub depth: usize,
    /// The units of each layer, instead of `units` in every one; `None`.
    pub widths: Option<PerLayer<usize>>,
    /// The share of each layer's units that are distributions, in [0, 1]; 1. The others send their
    /// means.
    pub distributional_fraction: PerLayer<f64>,
    /// Factors on `beta`, one for each layer, finite and at least 0; 1.
    pub layer_beta: PerLayer<f64>,
    /// Whether layers from the second up add the activities below to their own; false.
    pub residual: bool,
    /// Whether layers from the second up normalise the activities below; false.
    pub layer_norm: bool,
    /// What layers from the second up apply to the activities below: `gelu`, the default, or
    /// `identity`.
    pub activation: Activation,
    /// The family of each layer's units: `normal`, the default, `log_normal`, `laplace`,
    /// `logistic`, `student_t`, or `{ student_t = { degrees_of_freedom = 5.0 } }`, above 2.
    pub family: PerLayer<UnitFamily>,
    /// What each layer's posteriors are compared with: `standard`, the default, or `learned`.
    pub prior: PerLayer<LayerPrior>,
}

/// Writes a setting that is left out as `"none"`, so that a file says every setting.
fn or_none<V: Serialize, S: Serializer>(value: &Option<V>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(to),
        None => to.serialize_str("none"),
    }
}

impl Default for ForecasterConfig {
    fn default() -> Self {
        Self {
            compatibility: Compatibility::None,
            input_len: 336,
            horizon: 96,
            covariates: 0,
            categories: 0,
            hidden: 256,
            kernel: DEFAULT_KERNEL,
            units: 64,
            latent_dims: 1,
            pooling: None,
            sigma: SigmaMode::PerUnitInput,
            initial_sigma: 0.7,
            samples: 4,
            evaluate_samples: 32,
            antithetic: false,
            clamp_gradient: ClampGradient::Inward,
            head_hidden: 256,
            gated: true,
            dropout: 0.05,
            zero_output: true,
            normalization: Centre::Mean,
            divide_by_deviation: false,
            skip: true,
            output_noise: OutputNoiseMode::FromContext,
            aggregation: Aggregation::Mean,
            score: Score::Marginal,
            dependence: Dependence::Auto,
            loading_correlation: 0.5,
            objective: Objective::Vib,
            beta: 0.01,
            // With sigma 0.7 a rate of 0.21 and a KL of 0.23 nats: inside the default interval
            // [0.05, 0.30], with room to fall, which the first epochs use.
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
    /// The reference implementation's model: no normalisation, no skip, constant output noise, one
    /// deviation per unit starting at 0.5, the tempered score, its head width, its initialisation,
    /// its clamp.
    ///
    /// ```
    /// use vdn_forecast::forecaster::ForecasterConfig;
    /// use vdn_forecast::modules::OutputNoiseMode;
    /// let config = ForecasterConfig::compatibility();
    /// assert_eq!(config.output_noise, OutputNoiseMode::Constant);
    /// assert!(!config.skip);
    /// ```
    #[must_use]
    pub fn compatibility() -> Self {
        let base = Self::default();
        Self {
            compatibility: Compatibility::Reference,
            units: 1024,
            dependence: Dependence::Sampled,
            loading_correlation: 0.0,
            beta: 1e-4,
            sigma: SigmaMode::PerUnit,
            initial_sigma: 0.5,
            pooling: Some(Pool::Mean),
            clamp_gradient: ClampGradient::Zero,
            head_hidden: Self::reference_head(base.horizon, 1024),
            zero_output: false,
            normalization: Centre::Off,
            skip: false,
            output_noise: OutputNoiseMode::Constant,
            score: Score::Tempered,
            initial_energy: 0.0,
            ..base
        }
    }

    /// The width of the reference's head: half the units, at most 512, and at least the horizon.
    #[must_use]
    pub fn reference_head(horizon: usize, units: usize) -> usize {
        horizon.max((units / 2).min(512))
    }

    /// The dependence that `auto` stands for: `split` where every setting allows the closed form,
    /// else `sampled`; any other as it is.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Dependence, ForecasterConfig};
    /// let base = ForecasterConfig::default();
    /// assert_eq!(base.resolved_dependence(), Dependence::Split);
    /// let deep = ForecasterConfig { depth: 2, ..base };
    /// assert_eq!(deep.resolved_dependence(), Dependence::Sampled);
    /// ```
    #[must_use]
    pub fn resolved_dependence(&self) -> Dependence {
        match (self.dependence, self.without_closed_form()) {
            (Dependence::Auto, None) => Dependence::Split,
            (Dependence::Auto, Some(_)) => Dependence::Sampled,
            (other, _) => other,
        }
    }

    /// How windows are normalised.
    #[must_use]
    pub fn instance_norm(&self) -> InstanceNorm {
        let divide_by_deviation = self.divide_by_deviation;
        InstanceNorm { centre: self.normalization, divide_by_deviation }
    }

    /// The units of layer number `layer`, from 0, distributional or not.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        self.widths.map_or(self.units, |widths| widths.get(layer))
    }

    /// The weight of the KL of every latent dimension of a layer, against the score in nats per
    /// time step.
    #[must_use]
    pub fn beta_of(&self, layer: usize) -> f64 {
        self.beta * self.layer_beta.get(layer)
    }

    /// The layers as controllers see them: `None` for a layer without distributional units, as all
    /// layers of a twin.
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
            emit_kl: false,
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
}
