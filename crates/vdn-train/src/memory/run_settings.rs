//! [`RunSettings`]: the table `[run]` of a configuration.

use crate::error::TrainError;
use crate::memory::default_limit;
use serde::{Deserialize, Serialize};

/// Limits of a run as a whole.
///
/// ```
/// use vdn_train::memory::RunSettings;
/// assert_eq!(RunSettings { memory: 1.5 }.limit(), 1.5e9);
/// assert!(RunSettings { memory: f64::INFINITY }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// The memory limit of the run in gigabytes (10^9 bytes), finite and at least 0; default 0:
    /// three quarters of the free memory. A run with a larger estimate is refused.
    pub memory: f64,
}

impl RunSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// Returns an error that names the key of the first wrong value.
    pub fn validate(&self) -> Result<(), TrainError> {
        let memory = self.memory;
        if memory >= 0.0 && memory.is_finite() {
            return Ok(());
        }
        let reason = format!("run.memory = {memory}: has to be finite and at least 0");
        Err(TrainError::config(reason))
    }

    /// The memory limit of the run in bytes.
    #[must_use]
    pub fn limit(&self) -> f64 {
        match self.memory {
            0.0 => default_limit(),
            gigabytes => 1e9 * gigabytes,
        }
    }
}
