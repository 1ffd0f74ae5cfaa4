//! [`NetworkConfig`]: what a network for rows is built from.

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
    /// Counts from 0 on: `Poisson(e^location)`.
    Poisson,
    /// Counts that vary more than Poisson's. Refused: the tape has the mean of its log-likelihoods,
    /// and a mixture over samples needs each of them. Poisson mixed over samples of the units
    /// varies more than Poisson, too.
    NegativeBinomial,
    /// Classes: `softmax(location)`.
    Categorical,
}

impl Likelihood {
    /// Its name in a configuration.
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

    /// Whether the network has an output for the scale.
    #[must_use]
    pub fn has_scale(self) -> bool {
        matches!(self, Self::Gaussian | Self::StudentT | Self::Laplace)
    }
}

/// Whether the units are distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// They are, and send samples.
    #[default]
    Variational,
    /// The deterministic twin: they send their means.
    Twin,
}

impl Variant {
    /// Its name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Variational => "variational units",
            Self::Twin => "deterministic twin",
        }
    }
}

/// What a network is built from: the table `[model]` but for the widths of inputs and outputs,
/// which are those of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Widths of the encoder's hidden layers, each at least 1; 64 and 64.
    pub hidden: Vec<usize>,
    /// Units, at least 1; 16.
    pub units: usize,
    /// Width of the head's hidden layer, at least 1; 32.
    pub head_hidden: usize,
    /// Whether the encoder reaches the head beside the units; true. If not, all that is known of a
    /// target goes through the units.
    pub beside: bool,
    /// Samples of each posterior in training, at least 1; 4.
    pub samples: usize,
    /// Samples of each posterior in evaluation, at least 1; 32.
    pub evaluate_samples: usize,
    /// The weight of every unit's KL, per nat, finite and at least 0; 0.01. It is where the rate
    /// budget starts from.
    pub beta: f64,
    /// Dropout of the hidden layers in training, in [0, 1); 0.
    pub dropout: f64,
    /// Dropout of the inputs in training, in [0, 1); 0. A standardised input that is dropped is at
    /// its mean, a pixel is black.
    pub input_dropout: f64,
    /// The deviation of normal noise on the inputs in training, finite and at least 0; 0. Inputs
    /// of tables have the deviation 1 over training rows, pixels lie between 0 and 1.
    pub input_noise: f64,
    /// What a target is drawn from; `gaussian`; of classes `categorical`, and no other.
    pub likelihood: Likelihood,
    /// Of Student's t, above 2 and at most 1e7; 5.
    pub degrees_of_freedom: f64,
    /// What training minimises: `vib`, the default, `elbo` or `iwae`.
    pub objective: Objective,
    /// The deviation that all posteriors start with, in [1e-4, 10]; 0.7.
    pub initial_sigma: f64,
    /// The variance over rows that posterior means start with, finite and at least 0; 0.3. 0: they
    /// start as they are drawn.
    pub initial_energy: f64,
    /// The weight of the squared error of the mean beside the likelihood, where that has a scale,
    /// finite and at least 0; 10. Without it a network that learns its scales explains by a large
    /// scale what it does not predict yet.
    pub mean_weight: f64,
    /// Whether the scale of the output noise varies with the units' samples, too: then the noise is
    /// a mixture over scales, whose tails are heavier than one scale's; true.
    pub scale_by_units: bool,
    /// Whether the hidden layers are normalised; false.
    pub layer_norm: bool,
    /// Whether inputs reach the outputs by a linear map, too; true.
    pub skip: bool,
    /// The least scale of the output noise, in deviations of the target, in (0, 1]; 1e-3.
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
    /// The one layer of units, on a context of the encoder's last width.
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
    /// The first that is outside its domain, named.
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
        if self.likelihood == Likelihood::NegativeBinomial {
            let reason = "negative_binomial is not there: the tape has the mean of its \
                          log-likelihoods, and a mixture over samples needs each of them; poisson, \
                          mixed over samples of the units, varies more than Poisson's distribution";
            return Err(ModelError::config("likelihood", reason));
        }
        self.layer().validate()
    }
}
