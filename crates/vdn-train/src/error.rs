//! What can go wrong in training: the one error type of this crate. Every message is one line that says where.

use crate::data::DataError;
use crate::metrics::MetricError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Training, evaluation or a run directory that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A value of the configuration that has no meaning, or two that contradict each other.
    #[error("configuration: {0}")]
    Config(String),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A metric or a baseline.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// What an application of the trainer refused, for instance a baseline its data.
    #[error(transparent)]
    Application(Box<dyn std::error::Error + Send + Sync>),
    /// An operation on the tape.
    #[error(transparent)]
    Autograd(#[from] vdn_autograd::Error),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] vdn_model::ModelError),
    /// A loss, a gradient or a validation score was not finite; training stopped, the best checkpoint so far is intact.
    #[error("step {step}: {report}")]
    NonFinite {
        /// How many training steps had been made.
        step: u64,
        /// Where the first such number is: operation or parameter, layer, unit.
        report: String,
    },
    /// A gradient was not finite; nothing was changed by the step.
    #[error("the gradient of {parameter} is not finite at element {element}")]
    NonFiniteGradient {
        /// The parameter's name.
        parameter: String,
        /// The first such element.
        element: usize,
    },
    /// Every gradient is finite, but the sum of their squares is not; nothing was changed by the step.
    #[error(
        "the norm of all gradients together overflows, the largest is element {element} of {parameter}"
    )]
    GradientOverflow {
        /// The name of the parameter whose gradient has the largest element.
        parameter: String,
        /// That element.
        element: usize,
    },
    /// The run was asked to stop; what it had done is saved.
    #[error("interrupted after step {step}; the run can be resumed")]
    Interrupted {
        /// The training steps that had been made.
        step: u64,
    },
    /// The storage of the run.
    #[error(transparent)]
    Store(#[from] crate::run::store::StoreError),
    /// A file or directory.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file whose contents are not what they should be.
    #[error("{}: {reason}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl TrainError {
    /// A value of the configuration that has no meaning.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    /// Turns an input or output error at `path` into one that names it.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// A file whose contents are not what they should be.
    pub fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}
