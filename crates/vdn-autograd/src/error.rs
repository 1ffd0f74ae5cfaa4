//! What can go wrong when a graph is recorded or differentiated: the one error type of this crate.

use std::fmt;
use vdn_tensor::{Shape, ShapeError};

/// An operation that could not be recorded, or a gradient that could not be computed.
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
    /// Shapes that do not fit the operation.
    Shape(ShapeError),
    /// A [`Var`](crate::Var) that was recorded before the last [`reset`](crate::Tape::reset), or on another tape.
    StaleVar {
        /// What was asked for.
        operation: &'static str,
        /// The position of the variable among those of the operation.
        position: usize,
    },
    /// A value that does not depend on anything that wants a gradient.
    NoGradient {
        /// What was asked for.
        operation: &'static str,
    },
    /// One number was needed and the value has another number of elements.
    NotScalar {
        /// What was asked for.
        operation: &'static str,
        /// The shape of the value.
        shape: Shape,
    },
    /// A parameter of the operation that has no meaning.
    Invalid {
        /// The operation that refused.
        operation: &'static str,
        /// What is wrong, in words, with the value.
        reason: String,
    },
}

impl Error {
    /// An [`Error::Invalid`] of `operation`.
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
