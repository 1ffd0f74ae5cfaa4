//! Metrics and scores.

mod closed_forms;
mod lcg;
mod reference;
mod scores;
mod wholes;
