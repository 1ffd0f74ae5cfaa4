//! The memory limit of a run, and estimates of the memory that it takes.
//!
//! A valid configuration can ask for more memory than there is, because samples, units, examples
//! and widths multiply. An application estimates the parts of its runs from their sizes before it
//! allocates any of them. This module compares the estimate with the limit and words the message.

mod estimate;
mod free_memory;
mod run_settings;

pub use estimate::{MemoryEstimate, MemoryPart};
pub use free_memory::{default_limit, free_memory};
pub use run_settings::RunSettings;
