//! [`Intervention`]: replacements of latents that measure their downstream value.

use crate::units::stack::Replaced;

/// A replacement of the latents before the head sees them. It measures the downstream value of
/// their information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intervention {
    /// No replacement.
    #[default]
    None,
    /// The windows of a batch swap the latents that the head sees, by a permutation without fixed
    /// points.
    Permute,
    /// The latents of all layers are drawn from their priors.
    Prior,
    /// The latents of one layer, counted from 0, are drawn from its prior. Nothing else changes;
    /// the layers above see the draws.
    LayerPrior(usize),
    /// The windows of a batch swap the latents of one layer, counted from 0. Nothing else changes;
    /// the layers above see the swapped latents.
    LayerPermute(usize),
}

impl Intervention {
    /// Returns the layers of the stack whose latents are replaced.
    #[must_use]
    pub fn replaced(self) -> Replaced {
        match self {
            Self::None | Self::Permute => Replaced::None,
            Self::Prior => Replaced::All,
            Self::LayerPrior(layer) => Replaced::Layer(layer),
            Self::LayerPermute(layer) => Replaced::Swapped(layer),
        }
    }
}
