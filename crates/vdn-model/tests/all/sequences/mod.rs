//! Units along time: passes over a sequence, posteriors against the exact likelihood of linear
//! Gaussian models.

mod diagnostics;
mod kalman;
mod passes;
mod search;
mod smoothing;
mod truth;
mod units;
