//! Errors of baselines.

use thiserror::Error;
use vdn_train::TrainError;
use vdn_train::metrics::MetricError;

/// An error for data or settings that a baseline cannot be fitted to. Each message names the
/// operation and the place.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BaselineError {
    /// Lengths or shapes that do not fit each other.
    #[error("{operation}: {detail}")]
    Shape {
        /// The operation that failed.
        operation: &'static str,
        /// All shapes involved, and the expected ones.
        detail: String,
    },
    /// A value that is NaN or infinite.
    #[error(
        "{operation}: {array} at window {window}, step {step} is {value}, expected a finite number"
    )]
    NonFinite {
        /// The operation that failed.
        operation: &'static str,
        /// The array: "x", "y", "series", "matrix", ...
        array: &'static str,
        /// The row: the window, or the row of the matrix.
        window: usize,
        /// The column: the step, or the column of the matrix.
        step: usize,
        /// The value.
        value: f64,
    },
    /// Fewer windows than the fit needs.
    #[error("{operation}: {found} {split} windows, expected at least {needed}")]
    TooFew {
        /// The operation that failed.
        operation: &'static str,
        /// "train" or "validation".
        split: &'static str,
        /// The number of windows.
        found: usize,
        /// The number of windows that are needed.
        needed: usize,
    },
    /// A ridge regression whose matrices are too large to be solved.
    #[error(
        "ridge: input length {input_len} and horizon {horizon} ask for {numbers:.2e} numbers in one matrix, at most {most:.2e} are solved; choose input_len of at most {longest}"
    )]
    TooLarge {
        /// The input length.
        input_len: usize,
        /// The horizon.
        horizon: usize,
        /// The number of entries of the larger one of the matrices `[L, L]` and `[L, H]`.
        numbers: f64,
        /// The maximum number of entries.
        most: f64,
        /// The longest supported input with this horizon.
        longest: usize,
    },
    /// A matrix without a Cholesky factor in double precision.
    #[error("cholesky: the [{n}, {n}] matrix is not positive definite: pivot {row} is {pivot:e}")]
    NotPositiveDefinite {
        /// The number of rows of the matrix.
        n: usize,
        /// The first row whose pivot is too small.
        row: usize,
        /// The pivot.
        pivot: f64,
    },
    /// Penalties that are missing, not positive or without a finite result, or inputs that do not
    /// vary.
    #[error("ridge: {0}")]
    Penalty(String),
    /// A series that is too short, or has too few observed values, for the season.
    #[error(
        "seasonal naive: no observed value one or more whole periods ({period}) before index {index}, start {start}"
    )]
    NoSeason {
        /// The period.
        period: usize,
        /// The index to forecast.
        index: usize,
        /// The start of the forecast.
        start: usize,
    },
    /// A score or quantile of the forecast failed.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

impl BaselineError {
    /// Whether the cause is in the data: they are too few, or do not vary.
    #[must_use]
    pub fn is_of_data(&self) -> bool {
        matches!(
            self,
            Self::TooFew { .. }
                | Self::NotPositiveDefinite { .. }
                | Self::Penalty(_)
                | Self::NoSeason { .. }
                | Self::NonFinite { .. }
        )
    }

    /// Returns a [`BaselineError::Shape`] with this detail.
    pub(crate) fn shape(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::Shape { operation, detail: detail.into() }
    }
}

/// Rejects a row-major array `[n, columns]` with a value that is not finite.
pub(crate) fn check_finite(
    operation: &'static str,
    array: &'static str,
    values: &[f64],
    columns: usize,
) -> Result<(), BaselineError> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let (window, step) = (i / columns.max(1), i % columns.max(1));
            Err(BaselineError::NonFinite { operation, array, window, step, value: values[i] })
        }
    }
}

impl From<BaselineError> for TrainError {
    fn from(error: BaselineError) -> Self {
        Self::Application(Box::new(error))
    }
}
