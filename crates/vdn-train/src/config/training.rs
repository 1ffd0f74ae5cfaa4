//! The training part of a configuration.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};

/// What the best epoch is chosen by, on the validation windows; smaller is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The predictive score that the model is trained with, in nats per time step.
    #[default]
    Nll,
    /// The mean squared error of the point forecast.
    Mse,
    /// The score plus the KL, in nats per window.
    Elbo,
    /// The constraint-aware score of [`SelectionRule`](crate::SelectionRule), behind its validity gate.
    Score,
}

/// Threads that a run may ask for: far more than there is work for, few enough to start.
pub const MAX_THREADS: usize = 256;

/// How long to train, in what portions, and what to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training windows, at most.
    pub epochs: usize,
    /// Epochs without a better validation score before training stops; 0: never stop early.
    pub patience: usize,
    /// Windows per step.
    pub batch: usize,
    /// The base learning rate.
    pub learning_rate: f64,
    /// The seed of everything random: initial weights, order of windows, noise.
    pub seed: u64,
    /// Threads; 0: one for each processor. The results do not depend on it.
    pub threads: usize,
    /// What the best epoch is chosen by.
    pub selection: Selection,
    /// Whether the deterministic twin is trained too, on the same windows.
    pub twin: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 24,
            patience: 6,
            batch: 128,
            learning_rate: 1e-3,
            seed: 0,
            threads: 0,
            selection: Selection::Nll,
            twin: false,
        }
    }
}

impl TrainConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that is wrong, named.
    pub fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(TrainError::config(format!("train.{name} = 0: has to be at least 1")));
            }
        }
        if self.threads > MAX_THREADS {
            return Err(TrainError::config(format!(
                "train.threads = {}: has to be at most {MAX_THREADS}",
                self.threads
            )));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let rate = self.learning_rate;
            return Err(TrainError::config(format!(
                "train.learning_rate = {rate}: has to be above 0"
            )));
        }
        if self.seed > i64::MAX as u64 {
            return Err(TrainError::config(format!(
                "train.seed = {}: has to be below 2^63",
                self.seed
            )));
        }
        Ok(())
    }
}
