//! The settings of a stack: plain data, one [`StackLayerConfig`] for each layer.

use crate::core::error::ModelError;
use crate::units::layer::LayerConfig;

/// The function applied to the activities of the layer below before the heads of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Activation {
    /// The identity. A stack of such layers is a linear Gaussian model if deviations do not depend
    /// on the input.
    Identity,
    /// The exact GELU, `x Phi(x)`.
    #[default]
    Gelu,
}

/// The settings of one layer of a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackLayerConfig {
    /// The settings of the units. `units` counts distributional and deterministic units. `inputs`
    /// is used only in the first layer; in the others it is the number of channels of the layer
    /// below.
    pub layer: LayerConfig,
    /// The share of units that are distributions, in [0, 1], rounded to whole units. The other
    /// units send on their mean and have neither deviation nor KL. Default: 1.
    pub distributional_fraction: f64,
    /// The function applied to the activities below before the heads. Default: `Gelu`.
    pub activation: Activation,
    /// Whether these activities are first normalised over the layer, with a learned scale and
    /// shift. Default: `false`.
    pub layer_norm: bool,
    /// Whether the activities below are added to the activities of the layer, through a learned map
    /// if the widths differ. Default: `false`.
    pub residual: bool,
}

impl Default for StackLayerConfig {
    fn default() -> Self {
        Self {
            layer: LayerConfig::default(),
            distributional_fraction: 1.0,
            activation: Activation::Gelu,
            layer_norm: false,
            residual: false,
        }
    }
}

/// Creates a layer of these units, all of them distributions, with the defaults for everything
/// else.
impl From<LayerConfig> for StackLayerConfig {
    fn from(layer: LayerConfig) -> Self {
        Self { layer, ..Self::default() }
    }
}

impl StackLayerConfig {
    /// Returns the number of units that are distributions.
    ///
    /// ```
    /// use vdn_model::units::{LayerConfig, StackLayerConfig};
    /// let layer = LayerConfig { units: 10, ..LayerConfig::default() };
    /// let config = StackLayerConfig { layer, distributional_fraction: 0.25, ..Default::default() };
    /// assert_eq!(config.distributional(), 3); // halves are rounded up
    /// ```
    #[must_use]
    pub fn distributional(&self) -> usize {
        (self.distributional_fraction * self.layer.units as f64).round() as usize
    }

    /// Returns the number of activities of a unit: its latent dimensions, or 1 if they are pooled.
    pub fn channels_per_unit(&self) -> usize {
        if self.layer.pooling.is_some() { 1 } else { self.layer.latent_dims }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// Fails for the first setting outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.layer.validate()?;
        let fraction = self.distributional_fraction;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(ModelError::domain("distributional_fraction", fraction, "in [0, 1]"));
        }
        Ok(())
    }
}
