//! How scores of batches are averaged.

use serde::{Deserialize, Serialize};

/// Windows per forward pass where batches do not count in averages: bounds memory; the results do
/// not depend on it but for the noise's addresses.
pub const EVALUATION_BATCH: usize = 128;
/// What weighs the same in an average over windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Each window.
    #[default]
    Windows,
    /// Each batch, however few windows the last one has, as the reference does.
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
    /// What weighs the same.
    pub weigh: Averaging,
    /// Windows in a batch; 0 counts as 1.
    pub batch: usize,
}

impl Default for BatchAverages {
    fn default() -> Self {
        Self { weigh: Averaging::Windows, batch: EVALUATION_BATCH }
    }
}

impl BatchAverages {
    /// The weight of a window whose batch has `len` of all `windows`; over all windows the weights
    /// are 1 on average.
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
