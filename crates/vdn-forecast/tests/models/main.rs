//! Forecasters through the public interface.

mod forecaster;
#[path = "../../../vdn-model/tests/models/numbers.rs"]
mod numbers;
mod stacks;
mod support;
