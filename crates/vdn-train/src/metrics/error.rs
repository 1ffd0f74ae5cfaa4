//! Errors of predictions that cannot be scored.

use thiserror::Error;

/// A prediction, target or setting that cannot be scored. Each message names the operation and the
/// place.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MetricError {
    /// Lengths or shapes that do not match.
    #[error("{operation}: {detail}")]
    Shape {
        /// The operation that failed.
        operation: &'static str,
        /// All shapes that took part, and the expected shapes.
        detail: String,
    },
    /// A mean, deviation, weight or target that is NaN, infinite or outside its domain.
    #[error(
        "{metric}: window {window}, step {step}, sample {sample}: {quantity} is {value}, expected {expected}"
    )]
    Input {
        /// The requested metric.
        metric: &'static str,
        /// The index of the window, in the order of pushing (or the index in the batch).
        window: usize,
        /// The step of the horizon, from 0.
        step: usize,
        /// The index of the Monte-Carlo sample, 0 for a target.
        sample: usize,
        /// The name of the quantity: "mean", "sigma", "weight", "target".
        quantity: &'static str,
        /// The value.
        value: f64,
        /// The expected domain.
        expected: &'static str,
    },
    /// A score that is NaN or infinite although its inputs are finite, for example a log density
    /// below the range of `f64`.
    #[error("{metric}: window {window}{}: the score is {value}", step.map_or_else(String::new, |h| format!(", step {h}")))]
    Score {
        /// The metric without a finite value.
        metric: &'static str,
        /// Index of the window.
        window: usize,
        /// The step of the horizon, if the score belongs to one.
        step: Option<usize>,
        /// The value.
        value: f64,
    },
    /// A probability, count or period outside its domain.
    #[error("{operation}: {name} is {value}, expected {expected}")]
    Setting {
        /// The operation that failed.
        operation: &'static str,
        /// The name of the setting.
        name: &'static str,
        /// The value of the setting.
        value: f64,
        /// The expected domain.
        expected: &'static str,
    },
    /// No window was pushed, so there is no average.
    #[error("{operation}: no windows were scored")]
    Empty {
        /// The operation that failed.
        operation: &'static str,
    },
}

impl MetricError {
    /// A [`MetricError::Shape`] with a detail.
    pub(crate) fn shape(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::Shape { operation, detail: detail.into() }
    }

    /// The same error with the window `index`.
    #[must_use]
    pub(crate) fn in_window(mut self, index: usize) -> Self {
        if let Self::Input { window, .. } | Self::Score { window, .. } = &mut self {
            *window = index;
        }
        self
    }
}

/// Returns `probability` if it is strictly between 0 and 1.
pub(crate) fn open_probability(
    operation: &'static str,
    name: &'static str,
    probability: f64,
) -> Result<f64, MetricError> {
    if probability > 0.0 && probability < 1.0 {
        Ok(probability)
    } else {
        Err(MetricError::Setting {
            operation,
            name,
            value: probability,
            expected: "a number in (0, 1)",
        })
    }
}
