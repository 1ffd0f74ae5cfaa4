//! The rows of a task: inputs and targets, their encoding, and their division.

mod encoding;
pub(crate) mod notes;
mod rows;
mod splits;

pub(crate) use encoding::expect_all_counts;
pub use encoding::{InputEncoding, TargetEncoding, TargetScale, TaskEncoding};
pub use rows::{Inputs, TaskBuffers, TaskRows};
pub use splits::{Parts, divide, hold_out, others, read_splits};
