//! Forecasting with variational neurons: windows of series, forecasters with their deterministic
//! twins, baselines, runs and their reports.
//!
//! [`train_run`](run::train_run) does all of it from one [`RunConfig`](config::RunConfig); its
//! parts can be used alone.
#![forbid(unsafe_code)]

pub mod baselines;
pub mod config;
pub mod data;
pub mod evaluate;
pub mod forecaster;
pub mod modules;
pub mod report;
pub mod run;
pub mod sequence;

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
