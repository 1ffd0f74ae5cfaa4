//! Rules for averaging the scores of batches.

use serde::{Deserialize, Serialize};

/// The number of windows per forward pass if averages do not depend on batches. It bounds memory.
/// Results depend on it only through the addresses of the noise.
pub const EVALUATION_BATCH: usize = 128;
/// The items that have equal weight in an average over windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Each window.
    #[default]
    Windows,
    /// Each batch, even if the last one has fewer windows, as in the reference.
    Batches,
}

/// An average over windows that are predicted batch by batch.
///
/// ```
/// use vdn_train::evaluate::{Averaging, BatchAverages};
/// let reference = BatchAverages { weigh: Averaging::Batches, batch: 2 };
/// // Three windows are two batches: the third weighs as much as the first two together.
/// assert_eq!(reference.weight(3, 2), 0.75);
/// assert_eq!(reference.weight(3, 1), 1.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAverages {
    /// The items that have equal weight.
    pub weigh: Averaging,
    /// The number of windows in a batch; 0 counts as 1.
    pub batch: usize,
}

impl Default for BatchAverages {
    fn default() -> Self {
        Self { weigh: Averaging::Windows, batch: EVALUATION_BATCH }
    }
}

impl BatchAverages {
    /// The weight of a window in a batch of `len`, out of `windows` in total. Over all windows the
    /// weights average 1.
    #[must_use]
    pub fn weight(&self, windows: usize, len: usize) -> f64 {
        match self.weigh {
            Averaging::Windows => 1.0,
            Averaging::Batches => {
                windows as f64 / (windows.div_ceil(self.batch.max(1)) * len) as f64
            }
        }
    }
}
