//! Units along time: passes over a sequence, and posteriors against the exact likelihood of linear Gaussian models.

mod kalman;
mod passes;
mod truth;
