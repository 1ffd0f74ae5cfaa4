//! The priors of units, with which posteriors are compared; one file each.
//!
//! A prior over time consists of the conditional distribution of a step given the latents before
//! it, `Normal(sum_k phi_k z_{t-k}, s^2)`, and the distribution of the first steps. [`PriorSteps`]
//! records both on the tape, step by step.

mod autoregressive;
mod learned_normal;
mod order_one;
mod scale;
mod steps;

pub use autoregressive::{Autoregressive, AutoregressiveConfig};
pub use learned_normal::LearnedNormal;
pub use order_one::{OrderOne, OrderOneConfig, PersistenceStart};
pub use scale::PriorScale;
pub use steps::PriorSteps;

/// The prior of a layer's units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Prior {
    /// `Normal(0, 1)`, the same for every unit.
    #[default]
    StandardNormal,
    /// `Normal(m_i, s_i^2)`, learned for each unit.
    LearnedNormal(LearnedNormal),
    /// Autoregressive of order 1 over time.
    OrderOne(OrderOne),
    /// Autoregressive of any order over time.
    Autoregressive(Autoregressive),
}

impl Prior {
    /// Returns the number of earlier latents on which a step depends.
    #[must_use]
    pub fn order(&self) -> usize {
        match self {
            Self::StandardNormal | Self::LearnedNormal(_) => 0,
            Self::OrderOne(_) => 1,
            Self::Autoregressive(prior) => prior.order(),
        }
    }
}
