//! The training loop and its parts.

pub(crate) mod noise_seed;
pub(crate) mod selection;

pub use noise_seed::NoiseSeed;
pub use selection::{Candidate, SelectionRule};
