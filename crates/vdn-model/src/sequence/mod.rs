//! Units along time: posteriors over a whole sequence under an autoregressive prior.
//!
//! The evidence about a unit at a step is a [`Message`]. These functions use messages:
//!
//! | function | result |
//! |---|---|
//! | [`filter`] | the structured posterior of a sequence given the past |
//! | [`smooth`] | the structured posterior given the whole sequence |
//! | [`unroll`] | the step-by-step pass behind both, for all forms of the posterior |
//! | [`predict`] | latents beyond the end |
//! | [`rollout`] | free generation from the prior, without a tape |
//! | [`sequence_output`] | all steps as one layer of units, for statistics and controllers |

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

/// The form of the posterior of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posterior {
    /// `q(z_t | z_{t-1}, h_t)` is proportional to the prior's conditional times the message
    /// `Normal(z_t; m, r)`. This gives a bound. For a linear Gaussian model the bound is tight with
    /// [`smooth`].
    #[default]
    Structured,
    /// `q(z_t | h_t) = Normal(mu_t, sigma_t^2)`, independent over time. The divergence is averaged
    /// exactly over the previous latent. This gives a bound with a floor of `ln(1 + phi^2)/2` nats
    /// per step; learned coefficients are biased low.
    MeanField,
    /// As mean field, but with the previous mean in place of the previous latent: the term
    /// `phi^2 sigma_{t-1}^2 / (2 s^2)` is dropped. **Not a bound** on the likelihood.
    Penalty,
}
