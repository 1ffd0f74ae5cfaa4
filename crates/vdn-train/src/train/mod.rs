//! The trainer: what it knows of a network, its epochs and steps, how the best epoch is chosen, and how
//! a training goes on after an interruption.

mod checkpoint;
pub(crate) mod control_log;
pub(crate) mod history;
pub(crate) mod network;
pub(crate) mod noise_seed;
pub(crate) mod selection;
pub(crate) mod session;
pub(crate) mod step;
pub(crate) mod task;
pub(crate) mod trainer;

pub use control_log::ControlLog;
pub use history::{Epoch, EpochLayer, EpochUnits, read_losses, write_history};
pub use network::{Locals, Network, Terms};
pub use noise_seed::NoiseSeed;
pub use selection::{Candidate, SelectionRule};
pub use session::Session;
pub use task::{ByOutcomes, ByScore, Task};
pub use trainer::{Progress, Trained, Trainer};
