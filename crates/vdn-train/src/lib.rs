//! Training networks of variational units: data, optimiser, loop, metrics, baselines, run directories.
//!
//! [`train_run`] does all of it from one [`RunConfig`]; its parts can be used alone: loaders and windows ([`data`]),
//! [`AdamW`], [`Trainer`], proper scores ([`metrics`]), baselines ([`baselines`]), [`RunDirectory`].
#![forbid(unsafe_code)]

mod atomic_file;
pub mod baselines;
mod batch;
mod checkpoint;
mod choose;
mod compare;
mod config;
mod control_step;
pub mod data;
mod diagnose;
mod error;
mod evaluate;
mod examine;
mod experiment;
mod forecast_run;
mod history;
mod html;
mod inference;
mod layer_reports;
mod layer_use;
mod layers;
pub mod metrics;
mod noise_seed;
mod optimizer;
mod probe;
mod report;
mod report_page;
mod run;
pub mod run_store;
mod schedule;
mod selection;
mod stack_watch;
mod trainer;
mod training_step;
mod unit_history;
mod unit_report;
mod validation;
mod verdict;
mod weight_average;

pub use atomic_file::write_atomically;
pub use checkpoint::{load_control, load_weights, save_control, save_weights};
pub use compare::{ridge, seasonal_naive};
pub use config::{
    ActivationName, AggregationName, AnnealingConfig, AnnealingName, ArConfig, BudgetConfig,
    BudgetScope, CapacityConfig, CentreName, ClampName, Compatibility, ControlConfig, ControlName,
    ControllerName, ControllerSet, DataConfig, DiagnosticsConfig, EarlierName, FamilyName,
    FillPolicy, FreeBitsConfig, GecoSettings, GeneratorName, LayerOverride, MAX_THREADS,
    ModelConfig, ObjectiveName, OneOrEach, OutputNoiseName, PersistenceSettings, PiSettings,
    PoolName, PriorName, ProtocolName, RunConfig, ScalingRows, ScoreName, Selection, SigmaName,
    ThermostatSettings, TrainConfig, VariantName,
};
pub use control_step::ControlLog;
pub use diagnose::{diagnose, layer_statistics, logvar_limits};
pub use error::TrainError;
pub use evaluate::{
    Averaging, BatchAverages, EVALUATION_BATCH, block_length, evaluate, forecast, mean_crps,
    mean_log_likelihood,
};
pub use experiment::{Stage, evaluate_run, evaluate_run_by, train_run};
pub use forecast_run::{forecast_run, forecast_run_by};
pub use history::{Epoch, EpochLayer, EpochUnits, write_history};
pub use inference::{Inference, evaluate_moments, forecast_moments};
pub use layer_reports::{LayerReport, LayerReports};
pub use layer_use::{LayerUse, layer_use};
pub use layers::{LayerRow, LayerTable, layer_table};
pub use noise_seed::NoiseSeed;
pub use optimizer::{AdamW, AdamWConfig};
pub use probe::{LayerProbe, Probe, probe, probe_on};
pub use report::{Report, Row};
pub use report_page::report_run;
pub use run::RunDirectory;
pub use schedule::{Decay, Schedule};
pub use selection::{Candidate, SelectionRule};
pub use trainer::{Files, Progress, Trained, Trainer};
pub use unit_history::{UNIT_MEASURES, UnitHistory, layer_file};
pub use unit_report::{LayerUnits, ProbeReport, UnitReport, write_units};
pub use validation::{Evaluation, INFORMED, LayerEvaluation, validate, validate_under};
pub use verdict::{Judge, LayerVerdict, Verdicts};
pub use weight_average::WeightAverage;
