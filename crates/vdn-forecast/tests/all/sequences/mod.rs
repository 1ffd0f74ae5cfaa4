//! The forecaster of sequences: gradients, checkpoints in time, predictive distributions.

mod checkpoints;
mod forecaster;
#[path = "../../../../vdn-model/tests/all/sequences/kalman.rs"]
#[expect(dead_code, reason = "shared with the tests of units along time")]
mod kalman;
mod predictive;
mod trained;
