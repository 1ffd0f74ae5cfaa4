//! [`LayerConfig`]: the settings of a layer of units.

use crate::core::error::ModelError;
use vdn_autograd::LocationScale;
use vdn_tensor::families::StudentT;
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;

/// The source of the posteriors' deviations. The parameter, and the output of the head, is
/// `log sigma`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SigmaMode {
    /// One parameter for the whole layer.
    Scalar,
    /// One parameter for each latent dimension.
    PerUnit,
    /// A second linear head on the context: amortised deviations.
    #[default]
    PerUnitInput,
}

/// The family of distributions of a layer's units. Posteriors and priors are of the same family.
///
/// With `x = (z - mu) / sigma`, for a location `mu` and a scale `sigma > 0`:
///
/// | family | density | variance |
/// |---|---|---|
/// | `Normal` | `e^(-x^2/2) / (sigma sqrt(2 pi))` | `sigma^2` |
/// | `LogNormal` | `z = e^y` with `y` normal, so `z > 0` | `sigma^2` of `y` |
/// | `Laplace` | `e^(-abs(x)) / (2 sigma)` | `2 sigma^2` |
/// | `Logistic` | `e^-x / (sigma (1 + e^-x)^2)` | `pi^2 sigma^2 / 3` |
/// | `StudentT` | proportional to `(1 + x^2/nu)^(-(nu+1)/2) / sigma` | `sigma^2 nu / (nu - 2)` |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum UnitFamily {
    /// The normal distribution, `Normal(mu, sigma^2)`.
    #[default]
    Normal,
    /// The log-normal distribution: `e^x` with `x` normal, so activities are positive. All
    /// statistics are those of `x`.
    LogNormal,
    /// The Laplace distribution with scale `sigma`.
    Laplace,
    /// The logistic distribution with scale `sigma`. Its KL is estimated from the samples.
    Logistic,
    /// Student's t distribution with scale `sigma`. Its KL is estimated from the samples.
    StudentT {
        /// The degrees of freedom `nu`, above 2 and at most 1e7. With 2 or fewer the prior has no
        /// variance, and statistics are relative to that variance.
        degrees_of_freedom: f64,
    },
}

/// The largest number of degrees of freedom; Student's t is then normal to single precision.
const MAX_DEGREES_OF_FREEDOM: f64 = 1e7;

impl UnitFamily {
    /// Returns the family in the types of the tape; `None` for families that the fused Gaussian
    /// operation computes.
    ///
    /// # Errors
    /// Fails if the degrees of freedom are outside their domain.
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

    /// Returns whether the units are Gaussian, perhaps after a logarithm. KL, rate and feasibility
    /// then have closed forms.
    #[must_use]
    pub fn is_gaussian(self) -> bool {
        matches!(self, Self::Normal | Self::LogNormal)
    }
}

/// The prior of a layer's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LayerPrior {
    /// The standard member of the units' family, with location 0 and scale 1.
    #[default]
    Standard,
    /// A location and a scale, learned for each latent dimension; they start at the standard
    /// member. Means, deviations and statistics of the layer are then on the prior's scale.
    Learned,
}

/// The settings of a layer of units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerConfig {
    /// The width of the context, at least 1. Default: 256.
    pub inputs: usize,
    /// The number of units `N`, at least 1. Default: 1024.
    pub units: usize,
    /// The number of latent dimensions `K` of each unit, at least 1. Default: 1.
    pub latent_dims: usize,
    /// The source of the deviations. Default: `PerUnitInput`.
    pub sigma: SigmaMode,
    /// The initial deviation of all posteriors, in [1e-4, 10]. Default: 0.7.
    pub initial_sigma: f64,
    /// The pooling of a unit's `K` samples into one activity; `None` sends all of them on.
    pub pooling: Option<Pool>,
    /// The number of samples `S` of each posterior in training, at least 1. Default: 4.
    pub train_samples: usize,
    /// The number of samples of each posterior in evaluation, at least 1. Default: 32.
    pub evaluate_samples: usize,
    /// Whether each odd sample mirrors the noise of the sample before it; for normal and log-normal
    /// units only. Default: `false`.
    pub antithetic: bool,
    /// The treatment of a deviation's gradient outside its hard limits. Default: `Inward`.
    pub clamp_gradient: ClampGradient,
    /// Whether the layer also records the KL element by element
    /// ([`vdn_autograd::UnitOutputs::kl`]). It always records the KL statistics. Default: `false`.
    pub emit_kl: bool,
    /// The family of the units' distributions. Default: `Normal`.
    pub family: UnitFamily,
    /// The prior of the units. Default: `Standard`.
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
    /// Creates settings for this many units on a context of this width, with the defaults for
    /// everything else.
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
    /// Fails for the first setting outside its domain.
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

    /// Returns the number of activities that the layer sends on: the number of units, or of units
    /// times latent dimensions.
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.pooling.is_some() { self.units } else { self.units * self.latent_dims }
    }
}

/// Reads a family from its name or from `{ student_t = { degrees_of_freedom = 3.5 } }`.
#[cfg(feature = "serde")]
mod family_by_name {
    use super::UnitFamily;
    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
    use serde::{Deserialize, Deserializer};
    use std::fmt;

    /// The degrees of freedom of a Student's t that is given by its name alone.
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
