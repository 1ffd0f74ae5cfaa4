//! Forecasters through the public interface.

mod forecaster;
#[path = "../../../../vdn-model/tests/all/models/numbers.rs"]
mod numbers;
mod stacks;
mod support;
