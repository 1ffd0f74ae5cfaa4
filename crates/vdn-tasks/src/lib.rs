//! Regression and classification with variational neurons: rows of tables, networks with one layer
//! of units and their deterministic twins, runs and their reports.
//!
//! | room | what lives there |
//! |---|---|
//! | [`network`] | encoder, units, head and likelihood; predictions; interventions on units |
//! | [`data`] | rows, how files become them, how they are divided |
//! | [`config`] | the settings of a run |
//! | [`evaluate`] | predictive distributions of single rows, and their scores |
//! | [`run`] | from a configuration to a directory; on from a stop; predictions of new rows |
//! | [`report`] | the page of a run |
#![forbid(unsafe_code)]

pub mod config;
pub mod data;
pub mod evaluate;
pub mod network;
pub mod report;
pub mod run;

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
