//! Variational distributional neurons: units that are small VAEs, the layers they form, and the forecaster built of
//! them.
//!
//! A unit carries a prior, an amortised posterior, a sample that it sends on, and a local KL. [`VariationalLayer`] is
//! N of them; [`Forecaster`] puts an encoder before and a head behind it, and can be built as its own deterministic
//! twin. Weights live in [`Parameters`]; a forward pass is recorded through a [`Graph`].
#![forbid(unsafe_code)]

mod aggregate;
pub mod encoder;
mod error;
mod forecaster;
mod graph;
mod head;
mod init;
mod instance_norm;
mod layer;
mod layer_norm;
mod linear;
mod mixture;
mod output_noise;
mod parameter;
mod prior;
mod statistics;

pub use aggregate::{Aggregation, EvenMedian, Vote, sample_median, vote};
pub use error::ModelError;
pub use forecaster::{
    Batch, BatchScores, Forecaster, ForecasterConfig, Intervention, LossTerms, Objective, Prediction, Variant,
};
pub use graph::{Bindings, Graph, Mode};
pub use head::{GatedHead, HeadConfig};
pub use init::{Builder, Init};
pub use instance_norm::{Centre, InstanceNorm};
pub use layer::{LayerConfig, LayerOutput, SigmaMode, VariationalLayer};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mixture::mixture_quantile;
pub use output_noise::{OutputNoise, OutputNoiseMode};
pub use parameter::{Parameter, ParameterId, Parameters};
pub use prior::Prior;
pub use statistics::UnitStatistics;
