//! [`NetworkConfig`]: the settings of a network for rows.

use serde::{Deserialize, Serialize};
use vdn_model::core::ModelError;
use vdn_model::objective::Objective;
use vdn_model::units::{LayerConfig, StackLayerConfig};

/// The distribution of a target given the inputs and a sample of the units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// `Normal(location, scale^2)`.
    #[default]
    Gaussian,
    /// Student's t around the location, with `degrees_of_freedom`.
    StudentT,
    /// Laplace around the location.
    Laplace,
    /// Counts, at least 0: `Poisson(e^location)`.
    Poisson,
    /// Counts, at least 0, that vary more than a Poisson distribution. The mean is `e^location` and
    /// the variance is `mean + dispersion mean^2`. Each row has its own dispersion.
    NegativeBinomial,
    /// Classes: `softmax(location)`.
    Categorical,
}

impl Likelihood {
    /// The name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::StudentT => "student_t",
            Self::Laplace => "laplace",
            Self::Poisson => "poisson",
            Self::NegativeBinomial => "negative_binomial",
            Self::Categorical => "categorical",
        }
    }

    /// Whether the distribution has a scale beside its location, in deviations of the target.
    #[must_use]
    pub fn has_scale(self) -> bool {
        matches!(self, Self::Gaussian | Self::StudentT | Self::Laplace)
    }

    /// Whether the network has an output for the width of the distribution. The width is a scale,
    /// or the dispersion of `negative_binomial`.
    #[must_use]
    pub fn has_width(self) -> bool {
        self.has_scale() || self == Self::NegativeBinomial
    }

    /// Whether the targets are counts. Counts are not standardised.
    #[must_use]
    pub fn is_of_counts(self) -> bool {
        matches!(self, Self::Poisson | Self::NegativeBinomial)
    }
}

/// The kind of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Distributional units, which send samples.
    #[default]
    Variational,
    /// The deterministic twin, whose units send their means.
    Twin,
}

impl Variant {
    /// The name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Variational => "variational units",
            Self::Twin => "deterministic twin",
        }
    }
}

/// The settings of a network: the table `[model]`. The widths of inputs and outputs are not among
/// them, because they follow from the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The widths of the encoder's hidden layers, each at least 1; default 64 and 64.
    pub hidden: Vec<usize>,
    /// The number of units, at least 1; default 16.
    pub units: usize,
    /// The width of the head's hidden layer, at least 1; default 32.
    pub head_hidden: usize,
    /// Whether the head also sees the encoder directly, next to the units; default true. If not,
    /// all information about a target goes through the units.
    pub beside: bool,
    /// The number of samples of each posterior in training, at least 1; default 4.
    pub samples: usize,
    /// The number of samples of each posterior in evaluation, at least 1; default 32.
    pub evaluate_samples: usize,
    /// The weight of every unit's KL per nat, finite and at least 0; default 0.01. The rate budget
    /// starts from this value.
    pub beta: f64,
    /// The dropout probability of the hidden layers in training, in [0, 1); default 0.
    pub dropout: f64,
    /// The dropout probability of the inputs in training, in [0, 1); default 0. A dropped
    /// standardised input has its mean; a dropped pixel is black.
    pub input_dropout: f64,
    /// The deviation of normal noise on the inputs in training, finite and at least 0; default 0.
    /// Inputs of tables have the deviation 1 over training rows; pixels are between 0 and 1.
    pub input_noise: f64,
    /// The likelihood of a target; default `gaussian`. For classes it is always `categorical`.
    pub likelihood: Likelihood,
    /// The degrees of freedom of Student's t, above 2 and at most 1e7; default 5.
    pub degrees_of_freedom: f64,
    /// The objective that training minimises: `vib` (the default), `elbo` or `iwae`.
    pub objective: Objective,
    /// The initial deviation of all posteriors, in [1e-4, 10]; default 0.7.
    pub initial_sigma: f64,
    /// The initial variance of posterior means over rows, finite and at least 0; default 0.3. With
    /// 0 they start from the random initial weights.
    pub initial_energy: f64,
    /// The weight of the squared error of the mean in addition to the likelihood, if the likelihood
    /// has a scale, finite and at least 0; default 10. Without it, a network that learns its scales
    /// accounts for errors with a large scale instead of learning to predict them.
    pub mean_weight: f64,
    /// Whether the scale of the output noise also varies with the units' samples; default true. The
    /// noise is then a mixture over scales, with heavier tails than a single scale.
    pub scale_by_units: bool,
    /// Whether the hidden layers are normalised; default false.
    pub layer_norm: bool,
    /// Whether a linear map connects the inputs to the outputs, too; default true.
    pub skip: bool,
    /// The smallest scale of the output noise in deviations of the target, in (0, 1]; default 1e-3.
    pub least_scale: f64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            hidden: vec![64, 64],
            units: 16,
            head_hidden: 32,
            beside: true,
            samples: 4,
            evaluate_samples: 32,
            beta: 0.01,
            dropout: 0.0,
            input_dropout: 0.0,
            input_noise: 0.0,
            likelihood: Likelihood::Gaussian,
            degrees_of_freedom: 5.0,
            objective: Objective::Vib,
            initial_sigma: 0.7,
            initial_energy: 0.3,
            mean_weight: 10.0,
            scale_by_units: true,
            layer_norm: false,
            skip: true,
            least_scale: 1e-3,
        }
    }
}

impl NetworkConfig {
    /// The single layer of units, whose context has the width of the encoder's last layer.
    #[must_use]
    pub fn layer(&self) -> StackLayerConfig {
        let layer = LayerConfig {
            inputs: self.hidden.last().copied().unwrap_or(1),
            units: self.units,
            initial_sigma: self.initial_sigma,
            train_samples: self.samples,
            evaluate_samples: self.evaluate_samples,
            ..LayerConfig::default()
        };
        StackLayerConfig { layer, ..StackLayerConfig::default() }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// Returns an error that names the first setting outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        let counts = [
            ("head_hidden", self.head_hidden),
            ("units", self.units),
            ("samples", self.samples),
            ("evaluate_samples", self.evaluate_samples),
        ];
        if let Some((setting, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ModelError::domain(setting, 0, "at least 1"));
        }
        if self.hidden.is_empty() || self.hidden.contains(&0) {
            let reason = "has to name at least one width, each at least 1";
            return Err(ModelError::config("hidden", reason));
        }
        let finite = |x: f64| x.is_finite() && x >= 0.0;
        let domains = [
            ("beta", self.beta, finite(self.beta), "finite and at least 0"),
            ("mean_weight", self.mean_weight, finite(self.mean_weight), "finite and at least 0"),
            ("dropout", self.dropout, (0.0..1.0).contains(&self.dropout), "in [0, 1)"),
            (
                "input_dropout",
                self.input_dropout,
                (0.0..1.0).contains(&self.input_dropout),
                "in [0, 1)",
            ),
            ("input_noise", self.input_noise, finite(self.input_noise), "finite and at least 0"),
            (
                "degrees_of_freedom",
                self.degrees_of_freedom,
                self.degrees_of_freedom > 2.0 && self.degrees_of_freedom <= 1e7,
                "above 2 (else there is no variance) and at most 1e7",
            ),
            (
                "initial_energy",
                self.initial_energy,
                finite(self.initial_energy),
                "finite and at least 0",
            ),
            (
                "least_scale",
                self.least_scale,
                self.least_scale > 0.0 && self.least_scale <= 1.0,
                "in (0, 1]",
            ),
        ];
        if let Some((setting, value, _, domain)) = domains.iter().find(|(_, _, good, _)| !good) {
            return Err(ModelError::domain(setting, value, *domain));
        }
        self.layer().validate()
    }
}
