//! Forecasting with variational neurons: windows of series, forecasters and their deterministic
//! twins, baselines, runs and reports.
//!
//! [`train_run`](run::train_run) trains and evaluates a model from one
//! [`RunConfig`](config::RunConfig). The modules can also be used on their own.
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

/// Compiles the examples of the README as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
