//! What can go wrong in training: the one error type of this crate. Every message is one line that
//! says where.

pub(crate) mod data;
pub(crate) mod store;

pub use data::DataError;
pub use store::StoreError;

use crate::metrics::MetricError;
use crate::one_line::write_message;
use std::path::{Path, PathBuf};
use std::{error::Error, fmt};

/// Training, evaluation or a run directory that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// A value of the configuration that has no meaning, or two that contradict each other.
    Config(String),
    /// The data.
    Data(DataError),
    /// A metric or a baseline.
    Metric(MetricError),
    /// What an application of the trainer refused, for instance a baseline its data.
    Application(Box<dyn std::error::Error + Send + Sync>),
    /// An operation on the tape.
    Autograd(vdn_autograd::Error),
    /// The model refused.
    Model(vdn_model::core::ModelError),
    /// A loss, a gradient or a validation score was not finite; training stopped, the best
    /// checkpoint so far is intact.
    NonFinite {
        /// How many training steps had been made.
        step: u64,
        /// Where the first such number is: operation or parameter, layer, unit.
        report: String,
    },
    /// A gradient was not finite; nothing was changed by the step.
    NonFiniteGradient {
        /// The parameter's name.
        parameter: String,
        /// The first such element.
        element: usize,
    },
    /// Every gradient is finite, but the sum of their squares is not; nothing was changed by the
    /// step.
    GradientOverflow {
        /// The name of the parameter whose gradient has the largest element.
        parameter: String,
        /// That element.
        element: usize,
    },
    /// The run was asked to stop; what it had done is saved.
    Interrupted {
        /// The training steps that had been made.
        step: u64,
    },
    /// The storage of the run.
    Store(StoreError),
    /// A file or directory.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file whose contents are not what they should be.
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// One line without control characters, at most about 500 characters long: names of files, their
/// contents and messages of other libraries may hold anything.
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
