//! Training networks of variational units: data, optimisers, the trainer, metrics, what becomes of units, runs on disk.
#![forbid(unsafe_code)]

pub mod config;
pub mod data;
mod domain;
mod error;
pub mod evaluate;
pub mod metrics;
pub mod optim;
pub mod report;
pub mod run;
pub mod train;
pub mod units;

pub use config::{
    AnnealingConfig, AnnealingName, ArConfig, BudgetConfig, CapacityConfig, ControlConfig,
    ControlName, ControllerName, ControllerSet, DiagnosticsConfig, FreeBitsConfig, GecoSettings,
    GeneratorName, LayerOverride, MAX_THREADS, PersistenceSettings, Selection, TrainConfig,
};
pub use error::TrainError;
pub use evaluate::{Averaging, BatchAverages, EVALUATION_BATCH};
pub use optim::{AdamW, AdamWConfig, Decay, Schedule, WeightAverage};
pub use run::{load_control, load_weights, save_control, save_weights, write_atomically};
pub use train::{Candidate, NoiseSeed, SelectionRule};
pub use units::{UNIT_MEASURES, UnitHistory, layer_file};
