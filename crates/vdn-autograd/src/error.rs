//! [`Error`]: the error type of this crate, for graphs that cannot be recorded or differentiated.

use std::fmt;
use vdn_tensor::{Shape, ShapeError};

/// The error of an operation that could not be recorded, or of a gradient that could not be
/// computed.
///
/// ```
/// use vdn_autograd::{Error, Tape};
/// let mut tape = Tape::<f32>::new();
/// let a = tape.constant([2, 3], &[0.0; 6])?;
/// let b = tape.constant([4], &[0.0; 4])?;
/// let error = tape.add(a, b).unwrap_err();
/// assert!(error.to_string().starts_with("add: shapes [2, 3], [4]: "));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The shapes do not fit the operation.
    Shape(ShapeError),
    /// A [`Var`](crate::Var) was recorded before the last [`reset`](crate::Tape::reset), or on
    /// another tape.
    StaleVar {
        /// The requested operation.
        operation: &'static str,
        /// The position of the variable among the inputs of the operation.
        position: usize,
    },
    /// A value does not depend on anything that requires a gradient.
    NoGradient {
        /// The requested operation.
        operation: &'static str,
    },
    /// A single number was needed, but the value has another number of elements.
    NotScalar {
        /// The requested operation.
        operation: &'static str,
        /// The shape of the value.
        shape: Shape,
    },
    /// A parameter of the operation has no meaning.
    Invalid {
        /// The operation that refused.
        operation: &'static str,
        /// A description of the error, with the value.
        reason: String,
    },
}

impl Error {
    /// Creates an [`Error::Invalid`] of `operation`.
    #[must_use]
    pub fn invalid(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { operation, reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => error.fmt(f),
            Self::StaleVar { operation, position } => {
                write!(
                    f,
                    "{operation}: variable {position} is stale: it was recorded before the last reset, or on another tape"
                )
            }
            Self::NoGradient { operation } => {
                write!(
                    f,
                    "{operation}: the value does not depend on anything that wants a gradient"
                )
            }
            Self::NotScalar { operation, shape } => {
                write!(f, "{operation}: needs one number, got a value of shape {shape}")
            }
            Self::Invalid { operation, reason } => write!(f, "{operation}: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shape(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}
