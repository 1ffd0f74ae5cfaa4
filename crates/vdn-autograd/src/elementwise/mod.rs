//! What element-wise operations share: [`Unary`] for functions of one number, and the broadcasting evaluation and its
//! adjoint for functions of several.

pub(crate) mod broadcasting;
mod unary;

pub use unary::{SlopeReads, Unary, UnaryFormula};
