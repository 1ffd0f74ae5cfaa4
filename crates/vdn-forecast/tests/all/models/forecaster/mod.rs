//! Tests of the forecaster and its parts, all through the public interface.

mod gradients;
mod moments;
mod refusals;
mod whole;
