//! The settings of training: how long, with which controllers, and what is measured of the units.
//!
//! Unknown keys are refused, and every value is checked before anything is computed.

mod control;
mod control_build;
mod control_layers;
mod controlled_layer;
mod controller_set;
mod controllers;
mod diagnostics;
mod feasible;
mod training;

pub use control::{ControlConfig, ControlName};
pub use control_layers::LayerOverride;
pub use controlled_layer::ControlledLayer;
pub use controller_set::{ControllerName, ControllerSet};
pub use controllers::{
    AnnealingConfig, AnnealingName, ArConfig, BudgetConfig, BudgetScope, CapacityConfig,
    EarlierName, FreeBitsConfig, GecoSettings, PersistenceSettings, PiSettings, ThermostatSettings,
};
pub use diagnostics::DiagnosticsConfig;
pub use training::{
    BATCH, GeneratorName, MAX_THREADS, REFERENCE_BATCH, REFERENCE_LEARNING_RATE, Selection,
    TrainConfig,
};
