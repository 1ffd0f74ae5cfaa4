//! The configuration of a forecaster: plain data with the project's defaults, and constructors for
//! the reference's values.

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

/// The source of the default values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// This project's defaults.
    #[default]
    None,
    /// The defaults of the reference implementation.
    Reference,
}

/// The kind of model to build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Units pass on samples of their posteriors.
    #[default]
    Variational,
    /// The deterministic twin: the same encoder, normalisation, skip, output noise and head, but
    /// units pass on the means of their posteriors.
    Twin,
    /// The reference's weaker twin: a linear head on the pooled means.
    ReferenceTwin,
    /// A deterministic twin that uses every parameter: each unit passes on its mean times
    /// `2 sigmoid(log sigma)`.
    GatedTwin,
}

/// The joint distribution of the steps of a window, and the score that trains it.
///
/// Given the input, the errors of a forecast's steps are correlated. The model represents this
/// correlation by the noise of the units, which all steps share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependence {
    /// `split` if the settings allow its closed form, else `sampled`
    /// ([`ForecasterConfig::resolved_dependence`]).
    #[default]
    Auto,
    /// The distribution of samples of the units passed through the gated head. Training scores
    /// samples, with the score that `score` selects.
    Sampled,
    /// The closed form of a [`JointHead`](crate::modules::JointHead): a mixture of two normal
    /// distributions ([`SharedNoise`](crate::forecaster::SharedNoise)). Training scores whole
    /// windows by their joint density.
    Joint,
    /// The same closed form, but training scores single steps and, separately, the dependence
    /// between steps. The score of the dependence is the log-density of the window minus the
    /// log-densities of its steps. Its gradient does not reach the means and deviations of the
    /// steps.
    Split,
}

/// The configuration of a [`Forecaster`](crate::forecaster::Forecaster): the table `[model]` of a
/// configuration file.
///
/// A setting per layer is either one value for all layers, or a list with one value per layer, from
/// the first layer up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForecasterConfig {
    /// The source of the default values: `none` (this project, the default) or `reference`. Runs
    /// read it to choose the reference's twin and control rules; the forecaster itself ignores it.
    pub compatibility: Compatibility,
    /// The number of rows in an input window (input length), `L`, at least 1. Default: 336. In a
    /// file the key is `data.input_len`.
    #[serde(skip)]
    pub input_len: usize,
    /// The number of rows to forecast, `H`, at least 1. Default: 96. In a file the key is
    /// `data.horizon`.
    #[serde(skip)]
    pub horizon: usize,
    /// The number of covariates of a window (`Dataset::covariate_numbers`). Default: 0. It is not a
    /// key of the file; it follows from the data.
    #[serde(skip)]
    pub covariates: usize,
    /// The number of categories of all static columns (`Covariates::categories`). Default: 0. It is
    /// not a key of the file.
    #[serde(skip)]
    pub categories: usize,
    /// The kind of model: `variational` (the default), `twin`, `reference_twin` or `gated_twin`.
    pub variant: Variant,
    /// The width of the encoder's context, at least 1. Default: 256.
    pub hidden: usize,
    /// The width of the moving average in rows, at least 1. Default: 25. A width beyond the window
    /// is reduced to it, and an even width is made odd.
    pub kernel: usize,
    /// The number of units of each layer, `N`, at least 1. Default: 64.
    pub units: usize,
    /// The number of latent dimensions of each unit, `K`, at least 1. Default: 1.
    pub latent_dims: usize,
    /// The pooling of a unit's `K` latent samples into one activity: `mean`, `sum` or `sum_sqrtk`.
    /// `none`, the default, passes on all `K`.
    #[serde(serialize_with = "or_none")]
    pub pooling: Option<Pool>,
    /// The source of the posteriors' standard deviations: `per_unit_input` (the default),
    /// `per_unit` or `scalar`.
    pub sigma: SigmaMode,
    /// The initial standard deviation of all posteriors, in [1e-4, 10]. Default: 0.7.
    pub initial_sigma: f64,
    /// The number of samples per posterior in training, `S`, at least 1. Default: 4.
    pub samples: usize,
    /// The number of samples per posterior in evaluation, at least 1. Default: 32.
    pub evaluate_samples: usize,
    /// Whether each odd sample uses the negated noise of the sample before it (antithetic
    /// sampling). Only for normal and log-normal units. Default: false.
    pub antithetic: bool,
    /// The gradient of a deviation outside its hard limits: `inward` (the default) keeps the
    /// gradient if it points back inside, `zero` drops it.
    pub clamp_gradient: ClampGradient,
    /// The width of the head's hidden layer, at least 1. Default: 256.
    pub head_hidden: usize,
    /// Whether the head is gated. Default: true.
    pub gated: bool,
    /// The dropout probability of the head's hidden activities in training, in [0, 1). Default:
    /// 0.05.
    pub dropout: f64,
    /// Whether the head's output layers are initialised to zero. Default: true.
    pub zero_output: bool,
    /// The value that is subtracted from a window before the encoder: the `mean` of the window (the
    /// default), its `last` value, or nothing (`off`).
    pub normalization: Centre,
    /// Whether a window is also divided by its standard deviation plus 0.1. Default: false.
    pub divide_by_deviation: bool,
    /// Whether a linear map of the normalised window is added to every sample's prediction.
    /// Default: true.
    pub skip: bool,
    /// The source of the output noise's deviation: `from_context` (the default) or `constant`.
    pub output_noise: OutputNoiseMode,
    /// The aggregation of samples into a point forecast: `mean` (the default), `median`,
    /// `lower_median` or `score`.
    pub aggregation: Aggregation,
    /// The predictive score, in nats per time step: `marginal` (the default), `tempered` or
    /// `joint`.
    pub score: Score,
    /// The joint distribution of steps, and how it is trained: `auto` (the default), `sampled`,
    /// `joint` or `split`.
    ///
    /// `joint` and `split` have a closed form. They require:
    ///
    /// - one layer of normal units, all distributional, with one latent dimension and the standard
    ///   prior;
    /// - the score `marginal`, the objective `vib` and `aggregation = "mean"`.
    ///
    /// Their head is affine: `head_hidden`, `gated`, `dropout` and `zero_output` have no effect,
    /// and neither do `samples`, `evaluate_samples` and `antithetic`.
    ///
    /// A run with `sampled` has other defaults: `units` 1024, `beta` 1e-4, in `[train]` a `batch`
    /// of 128 and `ema_decay` 0, and in `[control.rate]` a `low` of 0.08.
    pub dependence: Dependence,
    /// The correlation between a unit's loadings for neighbouring steps at the start of training,
    /// in [0, 1). Default: 0.5. The loadings are the unit's weights in the noise that steps share.
    /// Above 0, training moves the loadings of neighbouring steps together, which makes the
    /// increments of sampled paths smoother. Without effect if `dependence` is `sampled`.
    pub loading_correlation: f64,
    /// The training objective: `vib` (the default), `elbo` or `iwae`.
    pub objective: Objective,
    /// The weight of the KL divergence of every latent dimension, relative to the score in nats per
    /// time step; finite and at least 0. Default: 0.01. That is about the weight in the ELBO,
    /// `1/H`, at a horizon of 100.
    pub beta: f64,
    /// The variance of the posterior means over the first batch, which data-dependent
    /// initialisation sets in every layer; finite and at least 0. Default: 0.25. The value 0
    /// disables this initialisation.
    pub initial_energy: f64,
    /// The number of layers of units, 1 to [`MAX_DEPTH`]. Default: 1; in a file with `widths`,
    /// their number.
    pub depth: usize,
    /// The number of units of each layer, instead of `units` for all. Default: `None`.
    pub widths: Option<PerLayer<usize>>,
    /// The fraction of each layer's units that are distributional, in [0, 1]. The others pass on
    /// their means. Default: 1.
    pub distributional_fraction: PerLayer<f64>,
    /// Factors on `beta`, one per layer, finite and at least 0. Default: 1.
    pub layer_beta: PerLayer<f64>,
    /// Whether layers from the second up add the activities of the layer below to their own.
    /// Default: false.
    pub residual: bool,
    /// Whether layers from the second up apply layer normalisation to the activities of the layer
    /// below. Default: false.
    pub layer_norm: bool,
    /// The activation that layers from the second up apply to the activities of the layer below:
    /// `gelu` (the default) or `identity`.
    pub activation: Activation,
    /// The distribution family of each layer's units: `normal` (the default), `log_normal`,
    /// `laplace`, `logistic`, `student_t`, or `{ student_t = { degrees_of_freedom = 5.0 } }`, with
    /// degrees of freedom above 2.
    pub family: PerLayer<UnitFamily>,
    /// The prior of each layer's units: `standard` (the default) or `learned`.
    pub prior: PerLayer<LayerPrior>,
}

/// Writes `None` as `"none"`, so that a file contains every setting.
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
            // With sigma 0.7 this gives a rate of 0.21 and a KL of 0.23 nats. Both are inside the
            // default interval [0.05, 0.30], with room for the fall in the first epochs.
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
    /// Returns the reference implementation's model: no normalisation, no skip, constant output
    /// noise, one deviation per unit that starts at 0.5, the tempered score, and the reference's
    /// head width, initialisation and clamp gradient.
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

    /// Returns the width of the reference's head: half the units, at most 512, and at least the
    /// horizon.
    #[must_use]
    pub fn reference_head(horizon: usize, units: usize) -> usize {
        horizon.max((units / 2).min(512))
    }

    /// Resolves `auto`: `split` if every setting allows the closed form, else `sampled`. Other
    /// values are returned unchanged.
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

    /// Returns the normalisation of windows.
    #[must_use]
    pub fn instance_norm(&self) -> InstanceNorm {
        let divide_by_deviation = self.divide_by_deviation;
        InstanceNorm { centre: self.normalization, divide_by_deviation }
    }

    /// Returns the number of units of layer `layer` (from 0), distributional and deterministic.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        self.widths.map_or(self.units, |widths| widths.get(layer))
    }

    /// Returns the weight of the KL of every latent dimension of a layer, relative to the score in
    /// nats per time step.
    #[must_use]
    pub fn beta_of(&self, layer: usize) -> f64 {
        self.beta * self.layer_beta.get(layer)
    }

    /// Returns the layers as controllers see them. The entry is `None` for a layer without
    /// distributional units, and for all layers of a twin.
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

    /// Returns the configuration of the first layer's distributional units.
    #[must_use]
    pub fn layer(&self) -> LayerConfig {
        let first = self.stack_layer(0);
        LayerConfig { units: first.distributional(), ..first.layer }
    }

    /// Returns the configurations of the layers of units.
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
