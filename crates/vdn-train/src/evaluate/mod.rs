//! How a trained network is scored: one evaluator, one loop over batches.

mod averages;
mod evaluator;
mod validation;

pub use averages::{Averaging, BatchAverages, EVALUATION_BATCH};
pub use evaluator::{Evaluator, Place};
pub use validation::{INFORMED, LayerValidation, Validation, logvar_limits};
