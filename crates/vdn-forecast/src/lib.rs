//! Forecasting with variational neurons: windows of series, forecasters with their deterministic
//! twins, baselines, runs and their reports.
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

pub use config::{DataConfig, FillPolicy, ProtocolName, RunConfig, RunSettings, ScalingRows};
pub use evaluate::{
    AggregateSummary, BlockSummary, ForecastEvaluator, Inference, JointSummary, ProbTsScores,
    UnitShare, WholeScores, evaluate_moments, forecast, forecast_moments, ridge, seasonal_naive,
};
pub use forecaster::{
    Aggregation, Batch, Beside, Compatibility, Dependence, Forecaster, ForecasterConfig,
    LossOptions, Prediction, PredictiveMoments, SharedNoise, Variant, Vote, vote,
};
pub use modules::{
    Centre, CovariateMaps, GatedHead, HeadConfig, InstanceNorm, JointHead, OutputNoise,
    OutputNoiseMode, PairEncoder,
};
pub use report::report_run;
pub use run::{
    AggregateKind, AggregateOf, Backtest, BacktestOptions, BacktestScores, Calibrated,
    ForecastContent, ForecastFormat, ForecastOptions, Forecasts, Report, Row, RunDirectory,
    RunMemory, RunSizes, Stage, backtest, default_limit, evaluate_run, evaluate_run_by,
    forecast_run, forecast_run_by, free_memory, interruptible_run, resume_run, train_run,
};
pub use sequence::{
    EmissionFamily, LongSeries, ParticleConfig, Particles, PriorConfig, SegmentBuffers,
    SegmentIndex, Segments, SequenceBound, SequenceForecast, SequenceForecaster,
    SequenceForecasterConfig, SequenceLoss, SequenceObjective, SequenceTraining, Series,
};

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
