//! The schedule of checkpoints, and the number that are kept.

use crate::error::store::StoreError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest configurable time between two checkpoints: a year, in minutes.
const LONGEST_MINUTES: f64 = 525_600.0;

/// The largest number of checkpoints that can be kept.
const MOST_KEPT: usize = 1000;

/// The schedule by which a trainer saves checkpoints, and the number that it keeps. The keys are
/// part of `[train]`.
///
/// ```
/// use std::time::Duration;
/// use vdn_train::run::store::{CheckpointConfig, CheckpointReason, Moment};
///
/// let config = CheckpointConfig { checkpoint_every_steps: 100, ..CheckpointConfig::default() };
/// config.validate()?;
/// let moment = |step, epoch_ended| {
///     Moment { step, epoch_ended, since_last: Duration::from_secs(10) }
/// };
/// assert_eq!(config.due(moment(200, None)), Some(CheckpointReason::Steps));
/// assert_eq!(config.due(moment(250, None)), None);
/// assert_eq!(config.due(moment(250, Some(3))), Some(CheckpointReason::Epochs));
/// # Ok::<(), vdn_train::run::store::StoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A checkpoint is due whenever the number of steps is a multiple of this; default 0: not by
    /// steps.
    pub checkpoint_every_steps: u64,
    /// The number of epochs between two checkpoints; default 1. 0: not by epochs.
    pub checkpoint_every_epochs: usize,
    /// A checkpoint is due at the end of the first step this many minutes after the last one;
    /// default 0: not by time.
    pub checkpoint_every_minutes: f64,
    /// The number of checkpoints that are kept, from 1 to 1000; default 2.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            checkpoint_every_steps: 0,
            checkpoint_every_epochs: 1,
            checkpoint_every_minutes: 0.0,
            keep: 2,
        }
    }
}

/// A moment at which a checkpoint could be saved: the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of steps made since the run began.
    pub step: u64,
    /// The number of epochs completed, if this step ended one.
    pub epoch_ended: Option<usize>,
    /// The time since the last checkpoint, or since training began or was resumed.
    pub since_last: Duration,
}

/// The reason why a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointReason {
    /// `checkpoint_every_epochs`.
    Epochs,
    /// `checkpoint_every_steps`.
    Steps,
    /// `checkpoint_every_minutes`.
    Minutes,
}

impl CheckpointConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`StoreError::Setting`] with the key of a value outside its domain.
    pub fn validate(&self) -> Result<(), StoreError> {
        let minutes = self.checkpoint_every_minutes;
        if !(0.0..=LONGEST_MINUTES).contains(&minutes) {
            let (key, value) = ("train.checkpoint_every_minutes", minutes.to_string());
            let domain = "from 0 (not by time) to 525600 (a year)";
            return Err(StoreError::Setting { key, value, domain });
        }
        if !(1..=MOST_KEPT).contains(&self.keep) {
            let (key, value) = ("train.keep", self.keep.to_string());
            return Err(StoreError::Setting { key, value, domain: "from 1 to 1000" });
        }
        Ok(())
    }

    /// Returns the reason why a checkpoint is due, or `None`. Before the first step none is due.
    ///
    /// The decision depends on the arguments alone. A trainer also saves a checkpoint at its end
    /// and when it is interrupted, independently of this.
    #[must_use]
    pub fn due(&self, moment: Moment) -> Option<CheckpointReason> {
        let Moment { step, epoch_ended, since_last } = moment;
        let minutes = self.checkpoint_every_minutes;
        let epochs = self.checkpoint_every_epochs;
        if step == 0 {
            None
        } else if epochs > 0 && epoch_ended.is_some_and(|epoch| epoch.is_multiple_of(epochs)) {
            Some(CheckpointReason::Epochs)
        } else if self.checkpoint_every_steps > 0
            && step.is_multiple_of(self.checkpoint_every_steps)
        {
            Some(CheckpointReason::Steps)
        } else if minutes > 0.0 && since_last.as_secs_f64() >= minutes * 60.0 {
            Some(CheckpointReason::Minutes)
        } else {
            None
        }
    }
}
