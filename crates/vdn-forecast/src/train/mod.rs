//! Training a forecaster.

pub(crate) mod control_step;
pub(crate) mod history;
pub(crate) mod trainer;
pub(crate) mod training_step;

pub use control_step::ControlLog;
pub use history::{Epoch, EpochLayer, EpochUnits, write_history};
pub use trainer::{Files, Progress, Trained, Trainer};
