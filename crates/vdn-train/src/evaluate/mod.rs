//! How a trained network is scored.

mod averages;

pub use averages::{Averaging, BatchAverages, EVALUATION_BATCH};
