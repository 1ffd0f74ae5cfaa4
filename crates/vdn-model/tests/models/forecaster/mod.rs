//! Tests of the forecaster and its parts, all through the public interface.

mod common;
mod gradients;
mod whole;
