//! [`ShapeError`]: the error type of this crate.
//!
//! Every error names the operation and all shapes involved, so the message alone shows what to
//! change.

use crate::Shape;
use std::fmt;

/// The error of shapes that do not fit an operation, or of a shape that cannot exist.
///
/// ```
/// use vdn_tensor::{Shape, ShapeError};
/// let error = ShapeError::new("matmul", &[&Shape::from([2, 3]), &Shape::from([4, 5])], "inner dimensions differ");
/// assert_eq!(error.to_string(), "matmul: shapes [2, 3], [4, 5]: inner dimensions differ");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    operation: &'static str,
    shapes: Vec<Shape>,
    reason: String,
}

impl ShapeError {
    /// Creates an error of `operation` on inputs of these `shapes`, with the reason in words.
    #[must_use]
    pub fn new(operation: &'static str, shapes: &[&Shape], reason: impl Into<String>) -> Self {
        let shapes = shapes.iter().map(|&&shape| shape).collect();
        Self { operation, shapes, reason: reason.into() }
    }

    /// Returns the operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns all shapes involved, in the order of the inputs.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        for (i, shape) in self.shapes.iter().enumerate() {
            let lead = if i > 0 {
                ", "
            } else if self.shapes.len() == 1 {
                "shape "
            } else {
                "shapes "
            };
            write!(f, "{lead}{shape}")?;
        }
        let gap = if self.shapes.is_empty() { "" } else { ": " };
        write!(f, "{gap}{}", self.reason)
    }
}

impl std::error::Error for ShapeError {}
