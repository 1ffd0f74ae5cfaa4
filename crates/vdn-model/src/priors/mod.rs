//! The priors of units: what a posterior is compared with, one file each.
//!
//! A prior over time is the conditional distribution of a step given the latents before it, `Normal(sum_k phi_k z_{t-k},
//! s^2)`, and the distribution of the first steps. [`PriorSteps`] gives it, one step after the other, as variables on the
//! tape.

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

/// What a unit's posterior is compared with.
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
    /// How many earlier latents a step depends on.
    #[must_use]
    pub fn order(&self) -> usize {
        match self {
            Self::StandardNormal | Self::LearnedNormal(_) => 0,
            Self::OrderOne(_) => 1,
            Self::Autoregressive(prior) => prior.order(),
        }
    }
}
