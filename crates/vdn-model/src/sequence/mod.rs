//! Units along time: posteriors over a whole sequence under an autoregressive prior.
//!
//! What is seen at a step reaches a unit as a [`Message`]. [`filter`] and [`smooth`] turn messages
//! into the structured posterior of the sequence, [`unroll`] is the step-by-step pass behind both
//! and behind the other posteriors, [`predict`] goes one step beyond the end, and [`rollout`]
//! generates without a tape. [`sequence_output`] makes one layer of units of all steps, for
//! statistics, controllers and diagnostics.

mod chain;
mod diagnosis;
mod innovations;
mod layer;
pub(crate) mod measures;
mod recurrence;
mod rollout;
mod segments;
mod smoothing;
mod unrolled;

pub use chain::{Chain, ChainMoments};
pub use diagnosis::{Diagnosis, sequence_diagnostics};
pub use innovations::{Innovations, sequence_output};
pub use layer::{SequenceLayer, SequenceLayerConfig, StepInput};
pub use measures::{sequence_measures, step_persistence};
pub use recurrence::{Recurrence, Taken, checkpointed, unroll_terms};
pub use rollout::{Numbers, Rollout, numbers, rollout};
pub use segments::{Checkpointed, Checkpoints};
pub use smoothing::{SmoothedSequence, checkpointed_smooth, smooth_terms};
pub use unrolled::{Message, Past, Unroll, Unrolled, filter, predict, smooth, unroll};

/// What stands for the posterior of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posterior {
    /// `q(z_t | z_{t-1}, h_t)` proportional to the prior's conditional times the message `Normal(z_t; m, r)`: a bound, tight
    /// for a linear Gaussian model with [`smooth`].
    #[default]
    Structured,
    /// `q(z_t | h_t) = Normal(mu_t, sigma_t^2)`, independent over time; the divergence is averaged over the previous latent
    /// exactly. A bound with a floor of `ln(1 + phi^2)/2` nats per step; learned coefficients are biased low.
    MeanField,
    /// As mean field, with the previous mean in place of the previous latent: the term `phi^2 sigma_{t-1}^2 / (2 s^2)` is
    /// dropped. **Not a bound** on the likelihood.
    Penalty,
}
