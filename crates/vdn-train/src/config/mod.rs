//! The settings of training: its length, its controllers, and the measurements of units.
//!
//! A setting lives in one struct, in the crate that uses it. [`layered`] reads such a struct from
//! TOML and is the only function that refuses keys and types. The struct's own check refuses values
//! outside their domains. `feasible` refuses constraints that contradict each other.

mod control;
mod control_build;
mod control_domains;
mod control_layers;
mod controlled_layer;
mod controller_set;
mod controllers;
mod diagnostics;
mod feasible;
mod keyed;
mod layered;
mod relative;
mod toml_file;
mod training;

pub use control::{ControlConfig, ControlName};
pub use control_layers::LayerOverride;
pub use controlled_layer::ControlledLayer;
pub use controller_set::{ControllerName, ControllerSet};
pub use controllers::{
    AnnealingConfig, AnnealingName, ArConfig, BudgetConfig, CapacityConfig, FreeBitsConfig,
    GecoSettings, PersistenceSettings,
};
pub use diagnostics::DiagnosticsConfig;
pub use layered::{at_key, lay_over, layered, parse, read_at, set, set_text, value_of};
pub use toml_file::{in_file, load_table};
pub use training::{GeneratorName, MAX_THREADS, Selection, TrainConfig};
