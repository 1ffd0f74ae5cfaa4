//! Forecasting with variational neurons: windows of series, forecasters with their deterministic twins, baselines, runs
//! and their reports.
//!
//! [`train_run`] does all of it from one [`RunConfig`]; its parts can be used alone.
#![forbid(unsafe_code)]

pub mod baselines;
mod config;
pub mod data;
pub mod evaluate;
mod forecaster;
pub mod modules;
mod report;
mod run;
mod sequence;
mod train;
mod units;

pub use config::{DataConfig, FillPolicy, ProtocolName, RunConfig, ScalingRows};
pub use evaluate::{
    Evaluation, INFORMED, Inference, LayerEvaluation, block_length, evaluate_moments, forecast,
    forecast_moments, mean_crps, mean_log_likelihood, ridge, seasonal_naive, validate,
    validate_under,
};
pub use forecaster::{
    Aggregation, Batch, BatchScores, Compatibility, Forecaster, ForecasterConfig, Intervention,
    LossOptions, LossTerms, Posteriors, Prediction, PredictiveMoments, UnitEffects, Variant, Vote,
    vote,
};
pub use modules::{
    Centre, GatedHead, HeadConfig, InstanceNorm, OutputNoise, OutputNoiseMode, PairEncoder,
};
pub use report::{Report, Row, report_run};
pub use run::{
    RunDirectory, Stage, evaluate_run, evaluate_run_by, forecast_run, forecast_run_by, train_run,
};
pub use sequence::{
    EmissionFamily, ParticleConfig, Particles, PriorConfig, SequenceBound, SequenceForecast,
    SequenceForecaster, SequenceForecasterConfig, SequenceLoss, SequenceObjective, Series,
};
pub use train::{
    ControlLog, Epoch, EpochLayer, EpochUnits, Files, Progress, Trained, Trainer, write_history,
};
pub use units::{
    Judge, LayerProbe, LayerReport, LayerReports, LayerRow, LayerTable, LayerUnits, LayerUse,
    LayerVerdict, Probe, ProbeReport, UnitReport, Verdicts, diagnose, layer_statistics,
    layer_table, layer_use, logvar_limits, probe, probe_on, write_units,
};
