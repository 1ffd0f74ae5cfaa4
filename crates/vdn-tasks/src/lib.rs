//! Regression and classification with variational neurons: rows of tables, networks with one layer
//! of units and their deterministic twins, runs and their reports.
//!
//! | room | what lives there |
//! |---|---|
//! | [`network`] | encoder, units, head and likelihood; predictions; interventions on units |
//! | [`data`] | rows, how files become them, how they are divided |
//! | `config` | the settings of a run |
//! | [`evaluate`] | predictive distributions of single rows, and their scores |
//! | `run` | from a configuration to a directory; on from where one stopped; predictions of new rows |
//! | `report` | the page of a run |
#![forbid(unsafe_code)]

mod config;
pub mod data;
pub mod evaluate;
pub mod network;
mod report;
mod run;

pub use config::{ChoiceConfig, TaskConfig, TaskDataConfig, TaskName};
pub use report::report_task;
pub use run::{
    PredictFrom, SplitMean, SplitScores, Stage, TaskReport, TaskRow, evaluate_task, predict_task,
    resume_task, train_task,
};

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
