//! Training networks of variational units: data, optimiser, loop, metrics, baselines, run directories.
//!
//! [`train_run`] does all of it from one [`RunConfig`]; its parts can be used alone: loaders and windows ([`data`]),
//! [`AdamW`], [`Trainer`], proper scores ([`metrics`]), baselines ([`baselines`]), [`RunDirectory`].
#![forbid(unsafe_code)]

mod atomic_file;
pub mod baselines;
mod batch;
mod checkpoint;
mod compare;
mod config;
pub mod data;
mod error;
mod evaluate;
mod experiment;
mod history;
mod layers;
pub mod metrics;
mod optimizer;
mod report;
mod run;
mod schedule;
mod selection;
mod trainer;

pub use atomic_file::write_atomically;
pub use checkpoint::{load_control, load_weights, save_control, save_weights};
pub use compare::{ridge, seasonal_naive};
pub use config::{
    ActivationName, AggregationName, CentreName, ClampName, Compatibility, ControlConfig,
    ControlName, DataConfig, FamilyName, FillPolicy, MAX_THREADS, ModelConfig, ObjectiveName,
    OneOrEach, OutputNoiseName, PoolName, PriorName, ProtocolName, RunConfig, ScalingRows,
    ScoreName, Selection, SigmaName, TrainConfig, VariantName,
};
pub use error::TrainError;
pub use evaluate::{
    Averaging, BatchAverages, EVALUATION_BATCH, Evaluation, INFORMED, evaluate, forecast, validate,
};
pub use experiment::{Stage, evaluate_run, forecast_run, train_run};
pub use history::{Epoch, write_history};
pub use layers::{LayerRow, LayerTable, layer_table};
pub use optimizer::{AdamW, AdamWConfig};
pub use report::{Report, Row};
pub use run::RunDirectory;
pub use schedule::{Decay, Schedule};
pub use selection::{Candidate, SelectionRule};
pub use trainer::{Files, Progress, Trained, Trainer};
