//! The training part of a configuration.

use crate::domain::{check_domains, positive};
use crate::error::TrainError;
use crate::network::NoiseSeed;
use crate::network::{Averaging, BatchAverages, EVALUATION_BATCH};
use crate::run::store::CheckpointConfig;
use serde::{Deserialize, Serialize};
use vdn_model::core::streams::TRAINING_STEPS;
use vdn_tensor::noise::Generator;

/// The criterion by which the best epoch is chosen on the validation windows; smaller is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The predictive score that the model is trained with, in nats per time step.
    Nll,
    /// The mean squared error of the point forecast.
    Mse,
    /// The negative evidence lower bound, in nats per window:
    /// `-mean_s sum_h ln p(y | z_s) + sum_i KL_i`.
    ///
    /// The KL has the weight 1, whatever beta is. The mean over the evaluation samples is *outside*
    /// of the logarithm. Therefore, unlike `nll`, this is not a score of the mixture, whatever the
    /// model is trained with.
    Elbo,
    /// The exact CRPS of the predictive mixture. Unlike a likelihood, it is not dominated by single
    /// outliers.
    #[default]
    Crps,
    /// No criterion: the last epoch is kept.
    Last,
    /// The constraint-aware score with its validity gate:
    /// [`SelectionRule`](crate::train::SelectionRule). The table `[selection]` has its thresholds.
    Score,
}

/// The counter-based generator of a run's noise, by its name in the publication (Salmon, Moraes,
/// Dror and Shaw 2011).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GeneratorName {
    /// Ten rounds of multiplications: fast on every processor.
    #[default]
    #[serde(rename = "philox4x32-10")]
    Philox4x32_10,
    /// Seven rounds of AES: faster on processors with AES instructions, slower on others.
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

/// The largest number of threads of a run: more than any run can use, and few enough to start.
pub const MAX_THREADS: usize = 256;

/// The length of training, its batches, and the weights and checkpoints that are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The maximum number of passes over the training windows, at least 1; default 24.
    pub epochs: usize,
    /// The number of epochs without a better validation score after which training stops early;
    /// default 6. 0 disables early stopping.
    pub patience: usize,
    /// The number of windows per step, at least 1; default 64, and 256 with the reference's
    /// defaults.
    pub batch: usize,
    /// The base learning rate, above 0; default 3e-4, and 1e-3 with the reference's defaults.
    /// Decision 5 says why the default is not the specification's 1e-3.
    pub learning_rate: f64,
    /// The decay of the exponential moving average of the weights
    /// ([`WeightAverage`](crate::optim::WeightAverage)), in `[0, 1)`; default 0.99, and 0 with the
    /// reference's defaults.
    ///
    /// It applies to the network and its twin alike. The averaged weights are validated, diagnosed
    /// and kept. With 0 the weights themselves are used.
    pub ema_decay: f64,
    /// The seed of all randomness (initial weights, order of windows, noise), below 2^63; default
    /// 0.
    pub seed: u64,
    /// The generator of the noise of training and evaluation, and of the order of windows. Initial
    /// weights and the shuffling of bands over units do not depend on it, so runs with the same
    /// seed start alike.
    pub generator: GeneratorName,
    /// The number of threads, at most 256; default 0: one per processor. The results do not depend
    /// on it.
    pub threads: usize,
    /// The criterion for the best epoch; default: the CRPS, and the likelihood with the reference's
    /// defaults.
    pub selection: Selection,
    /// The items that have equal weight in averages over windows; default: windows, and batches
    /// with the reference's defaults.
    pub averaging: Averaging,
    /// Whether the deterministic twin is trained, too, on the same windows; default false.
    pub twin: bool,
    /// The number of passes in a step; default 1. Each pass sees `batch / accumulate` examples, and
    /// the optimiser uses the average of their gradients. Controllers cannot act on parts of a
    /// batch: a value above 1 with controllers is refused.
    pub accumulate: usize,
    /// A checkpoint is saved whenever the number of steps is a multiple of this; default 0: not by
    /// steps.
    pub checkpoint_every_steps: u64,
    /// The number of epochs between two checkpoints; default 1. 0: not by epochs.
    pub checkpoint_every_epochs: usize,
    /// A checkpoint is saved at the end of the first step this many minutes after the last one;
    /// default 0: not by time.
    pub checkpoint_every_minutes: f64,
    /// The number of checkpoints that are kept, from 1 to 1000; default 2.
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
    /// The name in a configuration.
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

    /// The seed of all noise of the run.
    #[must_use]
    pub fn noise(&self) -> NoiseSeed {
        NoiseSeed { seed: self.seed, generator: self.generator.into() }
    }

    /// The number of training steps of a whole run on this many examples.
    ///
    /// # Errors
    /// Returns an error if there are more steps than addresses of noise.
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

    /// The number of examples in one pass of a step.
    #[must_use]
    pub fn examples_per_pass(&self) -> usize {
        self.batch.div_ceil(self.accumulate.max(1))
    }

    /// The settings of checkpoints: when they are saved, and how many are kept.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointConfig {
        CheckpointConfig {
            checkpoint_every_steps: self.checkpoint_every_steps,
            checkpoint_every_epochs: self.checkpoint_every_epochs,
            checkpoint_every_minutes: self.checkpoint_every_minutes,
            keep: self.keep,
        }
    }

    /// A copy with the defaults of all settings that do not affect the bits of a step.
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

    /// The rule for averages of scores over windows.
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
    /// Returns an error that names the first wrong value.
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
