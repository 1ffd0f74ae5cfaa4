//! The interface of a network to the trainer, the evaluator and the diagnostics: its loss and its
//! layers, the noise of its passes, and rules for averaging the scores of batches.

mod averages;
mod importance;
#[expect(clippy::module_inception, reason = "the room and its main trait have one name")]
mod network;
mod noise_seed;

pub use averages::{Averaging, BatchAverages, EVALUATION_BATCH};
pub use importance::log_importance;
pub(crate) use network::finite;
pub use network::{Locals, Network, Terms};
pub use noise_seed::NoiseSeed;
