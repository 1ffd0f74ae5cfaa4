//! The error type of this crate. Every message is one line that says where the error occurred.

pub(crate) mod data;
pub(crate) mod store;

pub use data::DataError;
pub use store::StoreError;

use crate::metrics::MetricError;
use crate::one_line::write_message;
use std::path::{Path, PathBuf};
use std::{error::Error, fmt};

/// An error of training, of evaluation, or of a run directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// A value of the configuration without a meaning, or two values that contradict each other.
    Config(String),
    /// An error of the data.
    Data(DataError),
    /// An error of a metric or a baseline.
    Metric(MetricError),
    /// An error of an application of the trainer; for example a baseline that refuses its data.
    Application(Box<dyn std::error::Error + Send + Sync>),
    /// An error of an operation on the tape.
    Autograd(vdn_autograd::Error),
    /// An error of the model.
    Model(vdn_model::core::ModelError),
    /// A loss, a gradient or a validation score was not finite. Training stopped; the best
    /// checkpoint so far is intact.
    NonFinite {
        /// The number of training steps before the error.
        step: u64,
        /// The place of the first such number: operation or parameter, layer, unit.
        report: String,
    },
    /// A gradient was not finite. The step changed nothing.
    NonFiniteGradient {
        /// The parameter's name.
        parameter: String,
        /// The index of the first such element.
        element: usize,
    },
    /// Every gradient is finite, but the sum of their squares is not. The step changed nothing.
    GradientOverflow {
        /// The name of the parameter whose gradient has the largest element.
        parameter: String,
        /// The index of that element.
        element: usize,
    },
    /// The run was asked to stop. Its state is saved.
    Interrupted {
        /// The number of training steps before the interruption.
        step: u64,
    },
    /// An error of the run's storage.
    Store(StoreError),
    /// An error of a file or directory.
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file whose contents are wrong.
    Format {
        /// The path.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
}

/// One line without control characters, at most about 500 characters long. Names of files, their
/// contents and messages of other libraries may contain anything.
impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message(f, &self.text())
    }
}

impl Error for TrainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Data(error) => error.source(),
            Self::Metric(error) => error.source(),
            Self::Application(error) => error.source(),
            Self::Autograd(error) => error.source(),
            Self::Model(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

macro_rules! wraps {
    ($($variant:ident: $error:ty),+ $(,)?) => {
        $(impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

wraps! {
    Data: DataError,
    Metric: MetricError,
    Autograd: vdn_autograd::Error,
    Store: StoreError,
    Model: vdn_model::core::ModelError,
}

impl TrainError {
    fn text(&self) -> String {
        match self {
            Self::Config(reason) => format!("configuration: {reason}"),
            Self::Data(error) => error.to_string(),
            Self::Metric(error) => error.to_string(),
            Self::Application(error) => error.to_string(),
            Self::Autograd(error) => error.to_string(),
            Self::Model(error) => error.to_string(),
            Self::Store(error) => error.to_string(),
            Self::Interrupted { step } => {
                format!("interrupted after step {step}; the run can be resumed")
            }
            Self::NonFinite { step, report } => format!("step {step}: {report}"),
            Self::NonFiniteGradient { parameter, element } => {
                format!("the gradient of {parameter} is not finite at element {element}")
            }
            Self::GradientOverflow { parameter, element } => format!(
                "the norm of all gradients together overflows, the largest is element {element} \
                 of {parameter}"
            ),
            Self::Io { path, source } => format!("{}: {source}", path.display()),
            Self::Format { path, reason } => format!("{}: {reason}", path.display()),
        }
    }

    /// Creates an error for a value of the configuration that has no meaning.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    /// Converts an I/O error into one that names `path`.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Creates an error for a file whose contents are wrong.
    pub fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}
