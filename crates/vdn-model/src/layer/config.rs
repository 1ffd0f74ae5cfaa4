//! [`LayerConfig`]: what a layer of units is built from.

use crate::error::ModelError;
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
    /// Whether the KL is wanted element by element too ([`vdn_autograd::UnitOutputs::kl`]); its statistics always are.
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
