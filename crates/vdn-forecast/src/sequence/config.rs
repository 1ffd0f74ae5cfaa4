//! [`SequenceForecasterConfig`]: the configuration of a sequence forecaster.

use vdn_autograd::ObservationFamily;
use vdn_model::core::{Builder, ModelError};
use vdn_model::priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig, Prior,
};
use vdn_model::sequence::Posterior;
use vdn_tensor::Element;
use vdn_tensor::families::StudentT;

/// The prior of the units.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PriorConfig {
    /// `Normal(0, 1)` at every step, without memory.
    StandardNormal,
    /// `Normal(m_i, s_i^2)` at every step, learned for each unit, without memory.
    LearnedNormal,
    /// An autoregressive prior of order 1.
    OrderOne(OrderOneConfig),
    /// An autoregressive prior of any order.
    Autoregressive(AutoregressiveConfig),
}

impl PriorConfig {
    pub(super) fn build<T: Element>(
        self,
        builder: &mut Builder<'_, T>,
        units: usize,
    ) -> Result<Prior, ModelError> {
        Ok(match self {
            Self::StandardNormal => Prior::StandardNormal,
            Self::LearnedNormal => Prior::LearnedNormal(LearnedNormal::new(builder, units)),
            Self::OrderOne(config) => Prior::OrderOne(OrderOne::new(builder, units, config)?),
            Self::Autoregressive(config) => {
                Prior::Autoregressive(Autoregressive::new(builder, units, config)?)
            }
        })
    }
}

/// The density of an observation around its location.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum EmissionFamily {
    /// Gaussian.
    #[default]
    Gaussian,
    /// Student's t with a fixed number of degrees of freedom, at least 1.
    StudentT(f64),
}

impl EmissionFamily {
    pub(super) fn family(self) -> Result<ObservationFamily, ModelError> {
        match self {
            Self::Gaussian => Ok(ObservationFamily::Gaussian),
            Self::StudentT(nu) => match StudentT::new(nu) {
                Some(t) => Ok(ObservationFamily::StudentT(t)),
                None => {
                    let reason = format!("{nu} degrees of freedom, has to be a number from 1 on");
                    Err(ModelError::config("emission", reason))
                }
            },
        }
    }
}

/// The configuration of a [`SequenceForecaster`](super::SequenceForecaster).
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceForecasterConfig {
    /// The number of observed channels, `D`. Default: 1.
    pub channels: usize,
    /// The number of covariates, `C`. They are known at every step, also in the future (for
    /// example, a calendar). Default: 0.
    pub covariates: usize,
    /// The number of steps that the encoder reads: the current one and the `window - 1` before it.
    /// Default: 8.
    pub window: usize,
    /// The widths of the encoder's hidden layers. Default: one of 32.
    pub hidden: Vec<usize>,
    /// The number of units, `N`. Default: 8.
    pub units: usize,
    /// The prior of the units. Default: `OrderOne`.
    pub prior: PriorConfig,
    /// The form of the units' posterior. Default: `Structured`.
    pub posterior: Posterior,
    /// The density of an observation. Default: `Gaussian`.
    pub emission: EmissionFamily,
    /// The number of earlier observations that the emission reads in addition to the units.
    /// Default: 0, which leaves all memory to the units.
    pub emission_lags: usize,
    /// The initial standard deviation of messages. Default: 1.
    pub initial_message: f64,
    /// The initial scale of observations. Default: 0.7.
    pub initial_scale: f64,
}

impl Default for SequenceForecasterConfig {
    fn default() -> Self {
        Self {
            channels: 1,
            covariates: 0,
            window: 8,
            hidden: vec![32],
            units: 8,
            prior: PriorConfig::OrderOne(OrderOneConfig::default()),
            posterior: Posterior::Structured,
            emission: EmissionFamily::Gaussian,
            emission_lags: 0,
            initial_message: 1.0,
            initial_scale: 0.7,
        }
    }
}

impl SequenceForecasterConfig {
    /// Checks all settings.
    ///
    /// # Errors
    /// Fails if there are no channels, units or window, for a hidden layer of width 0, for a scale
    /// that is not positive, and for degrees of freedom below 1.
    pub fn validate(&self) -> Result<(), ModelError> {
        for (setting, value) in
            [("channels", self.channels), ("window", self.window), ("units", self.units)]
        {
            if value == 0 {
                return Err(ModelError::config(setting, "0, has to be at least 1"));
            }
        }
        if self.hidden.contains(&0) {
            let reason = format!("{:?}, has to be widths of at least 1", self.hidden);
            return Err(ModelError::config("hidden", reason));
        }
        for (setting, value) in
            [("initial_message", self.initial_message), ("initial_scale", self.initial_scale)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ModelError::config(setting, format!("{value}, has to be positive")));
            }
        }
        self.emission.family().map(drop)
    }

    /// Returns the number of the encoder's inputs at one step: observations and whether they were
    /// seen, for each step of its window, and covariates.
    #[must_use]
    pub fn features(&self) -> usize {
        self.window * (self.channels + 1) + self.covariates
    }

    /// Returns the number of the emission's inputs at one step, other than the units.
    #[must_use]
    pub fn emission_features(&self) -> usize {
        self.emission_lags * (self.channels + 1) + self.covariates
    }
}
