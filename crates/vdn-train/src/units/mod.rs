//! What is recorded of the units while a network trains.

pub(crate) mod unit_history;

pub use unit_history::{UNIT_MEASURES, UnitHistory, layer_file};
