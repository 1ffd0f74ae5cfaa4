//! Optimisers, learning-rate schedules, and averages of the weights.

pub(crate) mod adamw;
mod groups;
mod optimizer;
pub(crate) mod schedule;
mod sgd;
pub(crate) mod weight_average;

pub use adamw::{AdamW, AdamWConfig};
pub use groups::ParameterGroup;
pub use optimizer::{Gradients, Optimizer};
pub use schedule::{Decay, Schedule};
pub use sgd::{Sgd, SgdConfig};
pub use weight_average::WeightAverage;
