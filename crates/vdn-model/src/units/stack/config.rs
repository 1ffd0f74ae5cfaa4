//! What a stack is built from: plain data, one [`StackLayerConfig`] for each layer.

use crate::core::error::ModelError;
use crate::units::layer::LayerConfig;

/// The largest number of layers in a stack.
pub const MAX_DEPTH: usize = 16;

/// A setting of the layers of a stack: one value for all, or one for each.
///
/// ```
/// use vdn_model::PerLayer;
/// assert_eq!(PerLayer::all(0.5).get(7), 0.5);
/// let widths = PerLayer::each(&[64, 32, 16])?;
/// assert_eq!((widths.get(1), widths.layers()), (32, Some(3)));
/// # Ok::<(), vdn_model::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerLayer<V> {
    values: [V; MAX_DEPTH],
    layers: Option<usize>,
}

impl<V: Copy> PerLayer<V> {
    /// The same value for every layer, however many there are.
    #[must_use]
    pub const fn all(value: V) -> Self {
        Self { values: [value; MAX_DEPTH], layers: None }
    }

    /// One value for each layer, the first for the layer that sees the encoder.
    ///
    /// # Errors
    /// None, or more than [`MAX_DEPTH`].
    pub fn each(values: &[V]) -> Result<Self, ModelError> {
        let (Some(&first), 1..=MAX_DEPTH) = (values.first(), values.len()) else {
            let reason =
                format!("{} values, has to be 1 to {MAX_DEPTH}, one a layer", values.len());
            return Err(ModelError::config("depth", reason));
        };
        let mut own = Self { values: [first; MAX_DEPTH], layers: Some(values.len()) };
        own.values[..values.len()].copy_from_slice(values);
        Ok(own)
    }

    /// What `f` makes of every value.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(V) -> U) -> PerLayer<U> {
        PerLayer { values: self.values.map(f), layers: self.layers }
    }

    /// The value of layer number `layer`, from 0.
    ///
    /// # Panics
    /// `layer` is [`MAX_DEPTH`] or more.
    #[must_use]
    pub fn get(&self, layer: usize) -> V {
        self.values[layer]
    }

    /// How many layers the values were given for; `None`: any number.
    #[must_use]
    pub fn layers(&self) -> Option<usize> {
        self.layers
    }

    /// Refuses values for another number of layers.
    pub fn fits(&self, setting: &'static str, depth: usize) -> Result<(), ModelError> {
        match self.layers {
            Some(layers) if layers != depth => {
                let reason = format!("{layers} values, the model has {depth} layers");
                Err(ModelError::config(setting, reason))
            }
            _ => Ok(()),
        }
    }
}

/// What is applied to the activities of the layer below before the heads of a layer see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing: a stack of such layers is a linear Gaussian model where deviations do not depend on the input.
    Identity,
    /// The exact GELU, `x Phi(x)`.
    #[default]
    Gelu,
}

/// One layer of a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackLayerConfig {
    /// The units: their number is that of all units of the layer, distributional or not. Its `inputs` count for the first
    /// layer; those of the others are the channels of the layer below.
    pub layer: LayerConfig,
    /// The share of units that are distributions, in [0, 1], rounded to whole units. The others send their mean, and have
    /// neither deviation nor KL.
    pub distributional_fraction: f64,
    /// What is applied to the activities below before the heads.
    pub activation: Activation,
    /// Whether those activities are normalised over the layer first, with a learned scale and shift.
    pub layer_norm: bool,
    /// Whether the activities below are added to those of the layer, through a learned map where the widths differ.
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

impl StackLayerConfig {
    /// The number of units that are distributions.
    ///
    /// ```
    /// use vdn_model::{LayerConfig, StackLayerConfig};
    /// let layer = LayerConfig { units: 10, ..LayerConfig::default() };
    /// let config = StackLayerConfig { layer, distributional_fraction: 0.25, ..Default::default() };
    /// assert_eq!(config.distributional(), 3); // halves are rounded up
    /// ```
    #[must_use]
    pub fn distributional(&self) -> usize {
        (self.distributional_fraction * self.layer.units as f64).round() as usize
    }

    /// The activities of a unit: its latent dimensions, or one if they are pooled.
    pub fn channels_per_unit(&self) -> usize {
        if self.layer.pooling.is_some() { 1 } else { self.layer.latent_dims }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first that is outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.layer.validate()?;
        let fraction = self.distributional_fraction;
        if !(0.0..=1.0).contains(&fraction) {
            let reason = format!("{fraction}, has to be in [0, 1]");
            return Err(ModelError::config("distributional_fraction", reason));
        }
        Ok(())
    }
}
