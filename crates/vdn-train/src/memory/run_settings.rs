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
    /// The memory that the run may take, in gigabytes (10^9 bytes), finite and at least 0; 0, the
    /// default: three quarters of what is free. A run whose estimate is larger is refused.
    pub memory: f64,
}

impl RunSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that is wrong, with its key.
    pub fn validate(&self) -> Result<(), TrainError> {
        let memory = self.memory;
        if memory >= 0.0 && memory.is_finite() {
            return Ok(());
        }
        let reason = format!("run.memory = {memory}: has to be finite and at least 0");
        Err(TrainError::config(reason))
    }

    /// The memory that the run may take, in bytes.
    #[must_use]
    pub fn limit(&self) -> f64 {
        match self.memory {
            0.0 => default_limit(),
            gigabytes => 1e9 * gigabytes,
        }
    }
}
