//! What can be wrong with a tensor: the one error type of this crate.
//!
//! Every error names the operation and all shapes that took part, so that a message alone tells what to change.

use crate::Shape;
use std::fmt;

/// Shapes that do not fit an operation, or a shape that cannot exist.
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
    /// An error of `operation` on inputs of these `shapes`, with the reason in words.
    #[must_use]
    pub fn new(operation: &'static str, shapes: &[&Shape], reason: impl Into<String>) -> Self {
        let shapes = shapes.iter().map(|&&shape| shape).collect();
        Self { operation, shapes, reason: reason.into() }
    }

    /// The operation that refused.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// All shapes that took part, in the order of the inputs.
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
