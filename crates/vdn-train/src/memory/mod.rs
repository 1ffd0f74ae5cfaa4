//! The memory that a run may take, and what is said of an estimate of what it will take.
//!
//! A valid configuration can ask for more memory than there is: samples, units, examples and widths
//! multiply. An application estimates the parts of its runs from their sizes, before any of it is
//! taken; whether that is too much, and the words for it, are here.

mod estimate;
mod free_memory;
mod run_settings;

pub use estimate::{MemoryEstimate, MemoryPart};
pub use free_memory::{default_limit, free_memory};
pub use run_settings::RunSettings;
