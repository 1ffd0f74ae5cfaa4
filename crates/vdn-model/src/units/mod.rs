//! Units that are distributions: layers of units, stacks of layers, their statistics, and inference
//! by moments.

pub(crate) mod layer;
pub mod moments;
pub(crate) mod non_finite;
pub(crate) mod stack;
pub(crate) mod statistics;
mod unit_layer;

pub use layer::{
    Context, LayerConfig, LayerOutput, LayerPrior, SigmaMode, UnitFamily, VariationalLayer,
};
pub use non_finite::{non_finite_report, unit_of_parameter};
pub use stack::{
    Activation, Activities, Intervention, LayerOutputs, MAX_DEPTH, PerLayer, Replaced, Stack,
    StackLayer, StackLayerConfig, StackOutput, StackPass, TwinUnits, all_units,
};
pub use statistics::UnitStatistics;
pub use unit_layer::{Layers, UnitLayer};
