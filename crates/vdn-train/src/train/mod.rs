//! The trainer: its epochs and steps, the selection of the best epoch, and resuming after an
//! interruption.

mod checkpoint;
pub(crate) mod control_log;
mod divergence;
mod non_finite;
mod resume;
pub(crate) mod selection;
pub(crate) mod session;
pub(crate) mod step;
pub(crate) mod task;
pub(crate) mod trainer;

pub use crate::network::{Locals, Network, NoiseSeed, Terms};
pub use crate::units::history::{Epoch, EpochLayer, EpochUnits, write_history};
pub use crate::units::losses::read_losses;
pub use control_log::ControlLog;
pub use divergence::Divergence;
pub use selection::{Candidate, SelectionRule};
pub use session::Session;
pub use task::{ByOutcomes, ByScore, Task};
pub use trainer::{Progress, Trained, Trainer};
