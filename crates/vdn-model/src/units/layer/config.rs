//! [`LayerConfig`]: what a layer of units is built from.

use crate::core::error::ModelError;
use vdn_autograd::LocationScale;
use vdn_tensor::families::StudentT;
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;

/// Where the deviations of the posteriors come from. The parameter, and the output of the head, is `log sigma`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SigmaMode {
    /// One parameter for the whole layer.
    Scalar,
    /// One parameter for each latent dimension.
    PerUnit,
    /// A second linear head on the context: the amortised posterior.
    #[default]
    PerUnitInput,
}

/// The family of distributions that a layer's units are of; their priors are of the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum UnitFamily {
    /// `Normal(mu, sigma^2)`.
    #[default]
    Normal,
    /// `e^x` with `x` normal: positive activities. All statistics are those of `x`.
    LogNormal,
    /// Laplace with scale sigma.
    Laplace,
    /// Logistic with scale sigma; its KL is estimated from the samples.
    Logistic,
    /// Student's t with scale sigma; its KL is estimated from the samples.
    StudentT {
        /// The degrees of freedom, above 2: with fewer the prior has no variance that statistics could be shares of.
        degrees_of_freedom: f64,
    },
}

/// More degrees of freedom make Student's t a normal distribution to single precision.
const MAX_DEGREES_OF_FREEDOM: f64 = 1e7;

impl UnitFamily {
    /// The family in the terms of the tape; `None` for those that the fused Gaussian operation serves.
    ///
    /// # Errors
    /// Too few degrees of freedom, or too many.
    pub(crate) fn location_scale(self) -> Result<Option<LocationScale>, ModelError> {
        match self {
            Self::Normal | Self::LogNormal => Ok(None),
            Self::Laplace => Ok(Some(LocationScale::Laplace)),
            Self::Logistic => Ok(Some(LocationScale::Logistic)),
            Self::StudentT { degrees_of_freedom: nu } => match StudentT::new(nu) {
                Some(family) if nu > 2.0 && nu <= MAX_DEGREES_OF_FREEDOM => {
                    Ok(Some(LocationScale::StudentT(family)))
                }
                _ => {
                    let domain = format!(
                        "above 2 (else the prior has no variance) and at most \
                         {MAX_DEGREES_OF_FREEDOM} (a normal to single precision)"
                    );
                    Err(ModelError::domain("degrees_of_freedom", nu, domain))
                }
            },
        }
    }

    /// Whether the units are Gaussian, perhaps after a logarithm: then KL, rate and feasibility have closed forms.
    #[must_use]
    pub fn is_gaussian(self) -> bool {
        matches!(self, Self::Normal | Self::LogNormal)
    }
}

/// What the posteriors of a layer are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LayerPrior {
    /// The standard member of the units' family: location 0, scale 1.
    #[default]
    Standard,
    /// Location and scale learned for each latent dimension, starting as the standard member. Means, deviations and
    /// statistics of the layer are then on the prior's scale.
    Learned,
}

/// What a layer is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerConfig {
    /// Width of the context. Default: 256.
    pub inputs: usize,
    /// Units, `N`. Default: 1024.
    pub units: usize,
    /// Latent dimensions of each unit, `K`. Default: 1.
    pub latent_dims: usize,
    /// Where the deviations come from. Default: `PerUnitInput`.
    pub sigma: SigmaMode,
    /// The deviation that all posteriors start with. Default: 0.7.
    pub initial_sigma: f64,
    /// How the `K` samples of a unit become one activity; `None` sends all of them on.
    pub pooling: Option<Pool>,
    /// Samples of each posterior in training, `S`. Default: 4.
    pub train_samples: usize,
    /// Samples of each posterior in evaluation. Default: 32.
    pub evaluate_samples: usize,
    /// Whether each odd sample mirrors the noise of the one before it. Default: `false`.
    pub antithetic: bool,
    /// What becomes of the gradient of a deviation outside its hard limits. Default: `Inward`.
    pub clamp_gradient: ClampGradient,
    /// Whether the KL is wanted element by element too ([`vdn_autograd::UnitOutputs::kl`]); its statistics always are.
    /// Default: `false`.
    pub emit_kl: bool,
    /// The family of the units' distributions. Default: `Normal`.
    pub family: UnitFamily,
    /// What the posteriors are compared with. Default: `Standard`.
    pub prior: LayerPrior,
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
            family: UnitFamily::Normal,
            prior: LayerPrior::Standard,
        }
    }
}

impl LayerConfig {
    /// So many units on a context of this width, everything else by default.
    ///
    /// ```
    /// use vdn_model::units::LayerConfig;
    /// let config = LayerConfig { train_samples: 8, ..LayerConfig::new(3, 16) };
    /// assert_eq!((config.inputs, config.units, config.latent_dims), (3, 16, 1));
    /// ```
    #[must_use]
    pub fn new(inputs: usize, units: usize) -> Self {
        Self { inputs, units, ..Self::default() }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first that is outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        let counts = [
            ("units", self.units),
            ("latent_dims", self.latent_dims),
            ("train_samples", self.train_samples),
            ("evaluate_samples", self.evaluate_samples),
            ("inputs", self.inputs),
        ];
        for (setting, count) in counts {
            if count == 0 {
                return Err(ModelError::domain(setting, 0, "at least 1"));
            }
        }
        if !(1e-4..=10.0).contains(&self.initial_sigma) {
            let sigma = self.initial_sigma;
            return Err(ModelError::domain("initial_sigma", sigma, "in [1e-4, 10]"));
        }
        if self.family.location_scale()?.is_some() && self.antithetic {
            let reason = "mirrored noise is for normal and log-normal units";
            return Err(ModelError::config("antithetic", reason));
        }
        Ok(())
    }

    /// The number of activities that the layer sends on: units, or units times latent dimensions.
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.pooling.is_some() { self.units } else { self.units * self.latent_dims }
    }
}

/// A name, or `{ student_t = { degrees_of_freedom = 3.5 } }`.
#[cfg(feature = "serde")]
mod family_by_name {
    use super::UnitFamily;
    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
    use serde::{Deserialize, Deserializer};
    use std::fmt;

    /// The degrees of freedom of Student's t that is given by its name alone.
    const DEGREES_OF_FREEDOM: f64 = 5.0;

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Normal,
        LogNormal,
        Laplace,
        Logistic,
        StudentT,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum WithSettings {
        StudentT { degrees_of_freedom: f64 },
    }

    impl<'de> Deserialize<'de> for UnitFamily {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(FamilyVisitor)
        }
    }

    struct FamilyVisitor;

    impl<'de> Visitor<'de> for FamilyVisitor {
        type Value = UnitFamily;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("normal, log_normal, laplace, logistic, student_t")
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<UnitFamily, E> {
            Ok(match Name::deserialize(name.into_deserializer())? {
                Name::Normal => UnitFamily::Normal,
                Name::LogNormal => UnitFamily::LogNormal,
                Name::Laplace => UnitFamily::Laplace,
                Name::Logistic => UnitFamily::Logistic,
                Name::StudentT => UnitFamily::StudentT { degrees_of_freedom: DEGREES_OF_FREEDOM },
            })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UnitFamily, A::Error> {
            let WithSettings::StudentT { degrees_of_freedom } =
                WithSettings::deserialize(MapAccessDeserializer::new(map))?;
            Ok(UnitFamily::StudentT { degrees_of_freedom })
        }
    }
}
