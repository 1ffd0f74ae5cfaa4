//! Training networks of variational units: data, optimisers, the trainer, metrics, what becomes of
//! units, runs on disk.
#![forbid(unsafe_code)]

mod bounded_file;
pub mod config;
pub mod data;
mod domain;
mod error;
pub mod evaluate;
pub mod metrics;
pub mod network;
mod one_line;
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
pub use evaluate::{
    Averaging, BatchAverages, EVALUATION_BATCH, Evaluator, INFORMED, LayerValidation, Validation,
};
pub use one_line::one_line;
pub use optim::{AdamW, AdamWConfig, Decay, Schedule, WeightAverage};
pub use run::{
    load_control, load_weights, read_bounded, save_control, save_weights, write_atomically,
};
pub use train::{
    Candidate, ControlLog, Epoch, EpochLayer, EpochUnits, NoiseSeed, Progress, SelectionRule,
    Trained, Trainer, write_history,
};
pub use units::{
    HealthCheck, HealthReport, LayerHealth, LayerProbe, LayerReport, LayerReports, LayerRow,
    LayerTable, LayerUnits, LayerUse, Probe, ProbeReport, UNIT_MEASURES, UnitHistory, UnitReport,
    diagnose, layer_file, write_units,
};

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
