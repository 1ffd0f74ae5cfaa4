//! The training part of a configuration.

use crate::domain::{check_domains, positive};
use crate::error::TrainError;
use crate::network::NoiseSeed;
use crate::network::{Averaging, BatchAverages, EVALUATION_BATCH};
use crate::run::store::CheckpointConfig;
use serde::{Deserialize, Serialize};
use vdn_model::core::streams::TRAINING_STEPS;
use vdn_tensor::noise::Generator;

/// What the best epoch is chosen by, on the validation windows; smaller is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The predictive score that the model is trained with, in nats per time step.
    Nll,
    /// The mean squared error of the point forecast.
    Mse,
    /// The negative evidence lower bound, in nats per window: `-mean_s sum_h ln p(y | z_s) + sum_i
    /// KL_i`, the KL with the weight 1 whatever beta is, the mean over the samples of evaluation
    /// *outside* of the logarithm. Unlike `nll` it is no score of the mixture, whatever the model
    /// is trained with.
    Elbo,
    /// The exact CRPS of the predictive mixture. Unlike a likelihood it is not ruled by single
    /// values far outside.
    #[default]
    Crps,
    /// None: the last epoch is kept.
    Last,
    /// The constraint-aware score, behind its validity gate:
    /// [`SelectionRule`](crate::train::SelectionRule), whose thresholds are the table
    /// `[selection]`.
    Score,
}

/// The counter-based generator of a run's noise, by the name in its publication (Salmon, Moraes,
/// Dror and Shaw 2011).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GeneratorName {
    /// Ten rounds of multiplications: fast everywhere.
    #[default]
    #[serde(rename = "philox4x32-10")]
    Philox4x32_10,
    /// Seven rounds of AES: faster where the processor has instructions for them, slower elsewhere.
    #[serde(rename = "ars-7")]
    Ars7,
}

impl From<GeneratorName> for Generator {
    fn from(name: GeneratorName) -> Self {
        match name {
            GeneratorName::Philox4x32_10 => Self::Philox10,
            GeneratorName::Ars7 => Self::Ars7,
        }
    }
}

/// Threads that a run may ask for: far more than there is work for, few enough to start.
pub const MAX_THREADS: usize = 256;

/// How long to train, in what portions, and what to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training windows, at most; at least 1; 24.
    pub epochs: usize,
    /// Epochs without a better validation score before training stops; 6. 0: never stop early.
    pub patience: usize,
    /// Windows per step, at least 1; 64, with the reference's values 256.
    pub batch: usize,
    /// The base learning rate, above 0; 3e-4, with the reference's values 1e-3. Decision 5 says why
    /// not the specification's 1e-3.
    pub learning_rate: f64,
    /// The decay of the exponential moving average of the weights
    /// ([`WeightAverage`](crate::optim::WeightAverage)), in `[0, 1)`, of units and twin alike:
    /// validation, diagnostics and what is kept are of it; 0.99, with the reference's values 0. 0:
    /// of the weights themselves.
    pub ema_decay: f64,
    /// The seed of everything random (initial weights, order of windows, noise), below 2^63; 0.
    pub seed: u64,
    /// The generator of the noise of training and evaluation and of the order of windows. Initial
    /// weights, and bands that are shuffled over units, do not depend on it: runs of one seed start
    /// alike.
    pub generator: GeneratorName,
    /// Threads, at most 256; 0, the default: one for each processor. The results do not depend on
    /// it.
    pub threads: usize,
    /// What the best epoch is chosen by; the CRPS, with the reference's values the likelihood.
    pub selection: Selection,
    /// What weighs the same in averages over windows; windows, with the reference's values batches.
    pub averaging: Averaging,
    /// Whether the deterministic twin is trained too, on the same windows; false.
    pub twin: bool,
    /// Passes that a step is made of: each sees `batch / accumulate` examples, and their gradients
    /// are averaged before the optimiser moves. Default 1. Controllers see no such parts: together
    /// they are refused.
    pub accumulate: usize,
    /// A checkpoint whenever the number of steps is a multiple of this; 0, the default: not by
    /// steps.
    pub checkpoint_every_steps: u64,
    /// A checkpoint at the end of every so many epochs; 0: not by epochs. Default 1.
    pub checkpoint_every_epochs: usize,
    /// A checkpoint at the end of the first step so many minutes after the last one; 0, the
    /// default: not by time.
    pub checkpoint_every_minutes: f64,
    /// The number of checkpoints that are kept, from 1 to 1000. Default 2.
    pub keep: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 24,
            patience: 6,
            batch: 64,
            learning_rate: 3e-4,
            ema_decay: 0.99,
            seed: 0,
            generator: GeneratorName::default(),
            threads: 0,
            selection: Selection::Crps,
            averaging: Averaging::Windows,
            twin: false,
            accumulate: 1,
            checkpoint_every_steps: 0,
            checkpoint_every_epochs: 1,
            checkpoint_every_minutes: 0.0,
            keep: 2,
        }
    }
}

impl Selection {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nll => "nll",
            Self::Mse => "mse",
            Self::Elbo => "elbo",
            Self::Crps => "crps",
            Self::Last => "last",
            Self::Score => "score",
        }
    }
}

impl TrainConfig {
    /// The defaults of the reference implementation.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            batch: 256,
            ema_decay: 0.0,
            learning_rate: 1e-3,
            selection: Selection::Nll,
            averaging: Averaging::Batches,
            ..Self::default()
        }
    }

    /// What all noise of the run starts from.
    #[must_use]
    pub fn noise(&self) -> NoiseSeed {
        NoiseSeed { seed: self.seed, generator: self.generator.into() }
    }

    /// The training steps of a whole run on so many examples.
    ///
    /// # Errors
    /// More than noise has addresses for.
    pub fn total_steps(&self, examples: usize) -> Result<u64, TrainError> {
        let steps_per_epoch = examples.div_ceil(self.batch.max(1)) as u64;
        let total = steps_per_epoch.saturating_mul(self.epochs as u64);
        if total >= TRAINING_STEPS {
            let epochs = self.epochs;
            return Err(TrainError::config(format!(
                "train.epochs = {epochs} of {steps_per_epoch} steps: noise is addressed by the \
                 step, of which there are at most {TRAINING_STEPS}"
            )));
        }
        Ok(total)
    }

    /// Examples of one pass of a step.
    #[must_use]
    pub fn examples_per_pass(&self) -> usize {
        self.batch.div_ceil(self.accumulate.max(1))
    }

    /// When checkpoints are saved, and how many are kept.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointConfig {
        CheckpointConfig {
            checkpoint_every_steps: self.checkpoint_every_steps,
            checkpoint_every_epochs: self.checkpoint_every_epochs,
            checkpoint_every_minutes: self.checkpoint_every_minutes,
            keep: self.keep,
        }
    }

    /// The same, with the defaults of all settings that the bits of a step do not depend on.
    pub(crate) fn without_epochs(&self) -> Self {
        let Self {
            checkpoint_every_steps, checkpoint_every_epochs, checkpoint_every_minutes, ..
        } = Self::default();
        let Self { keep, threads, twin, .. } = Self::default();
        Self {
            checkpoint_every_steps,
            checkpoint_every_epochs,
            checkpoint_every_minutes,
            keep,
            threads,
            twin,
            ..self.clone()
        }
    }

    /// How scores are averaged over windows.
    #[must_use]
    pub fn averages(&self) -> BatchAverages {
        BatchAverages {
            weigh: self.averaging,
            batch: match self.averaging {
                Averaging::Batches => self.batch,
                Averaging::Windows => EVALUATION_BATCH,
            },
        }
    }

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
        let rate = self.learning_rate;
        let domain = "finite and above 0";
        check_domains("train", &[("learning_rate", rate, positive(rate), domain)])?;
        let share = (0.0..1.0).contains(&self.ema_decay);
        check_domains("train", &[("ema_decay", self.ema_decay, share, "in [0, 1)")])?;
        let batch = self.batch;
        if !(1..=batch).contains(&self.accumulate) {
            let accumulate = self.accumulate;
            return Err(TrainError::config(format!(
                "train.accumulate = {accumulate}: has to be from 1 to the batch, {batch}"
            )));
        }
        self.checkpoints().validate().map_err(|error| TrainError::config(error.to_string()))?;
        if self.seed > i64::MAX as u64 {
            return Err(TrainError::config(format!(
                "train.seed = {}: has to be below 2^63",
                self.seed
            )));
        }
        Ok(())
    }
}
