//! Units along time: passes over a sequence, posteriors against the exact likelihood of linear Gaussian models, and the
//! forecaster of sequences.

mod checkpoints;
mod diagnostics;
mod forecaster;
mod kalman;
mod passes;
mod predictive;
mod search;
mod smoothing;
mod truth;
mod units;
