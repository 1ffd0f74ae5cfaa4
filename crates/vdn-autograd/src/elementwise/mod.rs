//! The common parts of element-wise operations: [`Unary`] for functions of one number, and
//! broadcasting evaluation and its adjoint for functions of several.

pub(crate) mod broadcasting;
mod unary;

pub use unary::{SlopeReads, Unary, UnaryFormula};
