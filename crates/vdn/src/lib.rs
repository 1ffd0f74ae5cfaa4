#![doc = include_str!("../README.md")]
//!
//! ## Modules
//!
//! | module | contents |
//! |---|---|
//! | [`prelude`] | the items that a first network needs |
//! | [`tensor`] | SIMD tensors, vector mathematics, addressed noise, products, the unit kernel |
//! | [`autograd`] | the tape and its operations; `check_gradients` for any graph |
//! | [`model`] | layers of variational units, stacks, priors, controllers, diagnostics |
#![cfg_attr(
    feature = "train",
    doc = "| [`train`] | data, optimisers, the trainer of any network, proper scores, durable runs |"
)]
#![cfg_attr(
    feature = "forecast",
    doc = "| [`forecast`] | windows, forecasters and their deterministic twins, baselines, runs and reports |"
)]
#![cfg_attr(
    feature = "tasks",
    doc = "| [`tasks`] | networks for rows of tables and images: regression, classification, runs and reports |"
)]
#![forbid(unsafe_code)]

pub use vdn_autograd as autograd;
#[cfg(feature = "forecast")]
pub use vdn_forecast as forecast;
pub use vdn_model as model;
#[cfg(feature = "tasks")]
pub use vdn_tasks as tasks;
pub use vdn_tensor as tensor;
#[cfg(feature = "train")]
pub use vdn_train as train;

/// The items that a first network needs, and most others, too: the tape, layers and their
/// parameters, data, the trainer, optimisers, weights on disk, forecasting.
///
/// Everything else is in the module of its topic: `vdn::model::controllers`, `vdn::train::metrics`,
/// `vdn::tensor::kernels`.
pub mod prelude {
    pub use vdn_autograd::{Noise, SampleKl, Score, Tape, UnitOutputs, Var};
    #[cfg(feature = "forecast")]
    pub use vdn_forecast::config::RunConfig;
    #[cfg(feature = "forecast")]
    pub use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, Prediction, Variant};
    #[cfg(feature = "forecast")]
    pub use vdn_forecast::run::train_run;
    pub use vdn_model::controllers::{
        ControlState, Controller, Lever, Levers, Moment, Observation, Timing,
    };
    pub use vdn_model::core::{
        Bindings, Builder, Graph, Init, Mode, ModelError, ParameterId, Parameters,
    };
    pub use vdn_model::modules::{Embedding, LayerNorm, Linear, MlpEncoder};
    pub use vdn_model::sequence::{SequenceLayer, SequenceLayerConfig};
    pub use vdn_model::units::{
        Context, Intervention, LayerConfig, LayerOutput, LayerPrior, Layers, SigmaMode, Stack,
        StackLayer, StackLayerConfig, StackOutput, UnitFamily, UnitLayer, UnitStatistics,
        VariationalLayer,
    };
    pub use vdn_tensor::noise::{NoiseKey, NoiseRng};
    pub use vdn_tensor::parallel::Pool;
    pub use vdn_tensor::{Element, Shape, Tensor, View};
    #[cfg(feature = "train")]
    pub use vdn_train::TrainError;
    #[cfg(feature = "train")]
    pub use vdn_train::config::{ControlName, Selection};
    #[cfg(feature = "train")]
    pub use vdn_train::data::{Examples, Request, RowBatch, Rows, Split};
    #[cfg(feature = "train")]
    pub use vdn_train::evaluate::Evaluator;
    #[cfg(feature = "train")]
    pub use vdn_train::optim::{
        AdamW, AdamWConfig, Decay, Gradients, Optimizer, ParameterGroup, Schedule, Sgd, SgdConfig,
    };
    #[cfg(feature = "train")]
    pub use vdn_train::run::store::Interrupt;
    #[cfg(feature = "train")]
    pub use vdn_train::run::{RunFiles, load_weights, save_weights};
    #[cfg(feature = "train")]
    pub use vdn_train::train::{
        ByOutcomes, ByScore, Locals, Network, Progress, Session, Task, Terms, Trained, Trainer,
    };
    #[cfg(feature = "train")]
    pub use vdn_train::units::HealthCheck;
}
