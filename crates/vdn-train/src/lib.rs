//! Training networks of variational units: data, optimisers, the trainer, metrics, diagnostics of
//! the units, and runs on disk.
#![forbid(unsafe_code)]

mod bounded_file;
pub mod config;
pub mod data;
mod domain;
mod error;
pub mod evaluate;
pub mod memory;
pub mod metrics;
pub mod network;
mod one_line;
pub mod optim;
pub mod report;
pub mod run;
pub mod train;
pub mod units;

pub use error::TrainError;
pub use one_line::{message_line, one_line};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
