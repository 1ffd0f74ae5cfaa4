//! The evaluation of a trained network: one evaluator, one loop over batches.

mod evaluator;
mod validation;

pub use crate::network::{Averaging, BatchAverages, EVALUATION_BATCH};
pub use evaluator::{Evaluator, Place};
pub use validation::{INFORMED, LayerValidation, Validation, logvar_limits};
