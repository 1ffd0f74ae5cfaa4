//! Regression and classification with variational neurons: rows of tables, networks with one layer
//! of units and their deterministic twins, runs and their reports.
//!
//! | room | contents |
//! |---|---|
//! | [`network`] | encoder, units, head and likelihood; predictions; interventions on units |
//! | [`data`] | rows, their encoding, and their division |
//! | [`config`] | the settings of a run |
//! | [`evaluate`] | predictive distributions of single rows, and their scores |
//! | [`run`] | training from a configuration to a directory; resuming; predictions of new rows |
//! | [`report`] | the page of a run |
#![forbid(unsafe_code)]

pub mod config;
pub mod data;
pub mod evaluate;
pub mod network;
pub mod report;
pub mod run;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
