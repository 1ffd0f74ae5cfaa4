#![doc = include_str!("../../../README.md")]
#![forbid(unsafe_code)]

pub use vdn_autograd as autograd;
pub use vdn_forecast as forecast;
pub use vdn_model as model;
pub use vdn_tensor as tensor;
pub use vdn_train as train;

/// What most programs need.
pub mod prelude {
    pub use vdn_autograd::{Noise, SampleKl, Score, Tape, UnitOutputs, Var};
    pub use vdn_forecast::{
        Batch, Forecaster, ForecasterConfig, Intervention, Prediction, RunConfig, Trainer, Variant,
        train_run,
    };
    pub use vdn_model::{
        Bindings, Graph, LayerConfig, Mode, Parameters, SigmaMode, UnitStatistics, VariationalLayer,
    };
    pub use vdn_tensor::noise::{NoiseKey, NoiseRng};
    pub use vdn_tensor::{Element, Shape, Tensor, View};
}
