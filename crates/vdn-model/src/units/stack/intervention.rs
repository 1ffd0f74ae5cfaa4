//! [`Intervention`]: what is done to latents to measure what they are worth downstream.

use crate::units::stack::Replaced;

/// What is done to the latent before the head sees it: to measure what its information is worth
/// downstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intervention {
    /// Nothing.
    #[default]
    None,
    /// The windows of a batch swap what the head sees, by a permutation without fixed points.
    Permute,
    /// The latents of all layers are drawn from their priors.
    Prior,
    /// The latents of one layer, counted from 0, are drawn from their prior; nothing else changes,
    /// and the layers above see the draws.
    LayerPrior(usize),
    /// The windows of a batch swap the latents of one layer, counted from 0; nothing else changes,
    /// and the layers above see what is swapped in.
    LayerPermute(usize),
}

impl Intervention {
    /// Whose latents are not their own samples inside the stack.
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
