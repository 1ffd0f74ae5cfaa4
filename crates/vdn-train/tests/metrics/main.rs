//! Metrics and scores, and the baselines that they are compared with.

mod baselines;
mod closed_forms;
mod lcg;
mod reference;
mod scores;
