//! How weights follow gradients: the optimiser, its learning rate over the run, averages of weights.

pub(crate) mod adamw;
pub(crate) mod schedule;
pub(crate) mod weight_average;

pub use adamw::{AdamW, AdamWConfig};
pub use schedule::{Decay, Schedule};
pub use weight_average::WeightAverage;
