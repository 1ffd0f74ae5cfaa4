//! Networks whose units are distributions: parameters, layers of variational units, encoders, heads, and the
//! probabilistic forecaster built of them.
//!
//! A module ([`Linear`], [`VariationalLayer`], [`Forecaster`], ...) holds no numbers: it knows the [`ParameterId`]s of
//! its tensors, which live in [`Parameters`]. Its `forward` records operations on the tape of a [`Graph`], which binds
//! parameters to variables, knows whether the pass trains or evaluates, and addresses the noise. The same modules run
//! in `f32` (fast) and in `f64` (to check).

#![forbid(unsafe_code)]

mod aggregate;
mod ar_penalty;
pub mod controllers;
pub mod diagnostics;
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
mod local_objective;
mod mixture;
pub mod moments;
mod output_noise;
mod parameter;
mod priors;
mod replacement;
mod sequence;
mod sequence_measures;
mod stack;
mod statistics;
mod window_persistence;

pub use aggregate::{Aggregation, MedianConvention, Vote, sample_median, vote};
pub use ar_penalty::{ArScale, BandCentre, ar_penalty};
pub use error::ModelError;
pub use forecaster::{
    Batch, BatchScores, Forecaster, ForecasterConfig, Intervention, LocalObjectives,
    LocalTermsOfLayers, LossOptions, LossTerms, Objective, Posteriors, Prediction,
    PredictiveMoments, UnitEffects, Variant, local_objectives,
};
pub use graph::{Bindings, Graph, Mode};
pub use head::{GatedHead, HeadConfig};
pub use init::{Builder, Init};
pub use instance_norm::{Centre, InstanceNorm};
pub use layer::{LayerConfig, LayerOutput, LayerPrior, SigmaMode, UnitFamily, VariationalLayer};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use local_objective::{
    ArTerm, BandTerm, BetweenWindows, CapacityTerm, EarlierWindow, LocalObjective, LocalTerms,
    UnitMeasures,
};
pub use mixture::mixture_quantile;
pub use output_noise::{OutputNoise, OutputNoiseMode};
pub use parameter::{Parameter, ParameterId, Parameters};
pub use priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig,
    PersistenceStart, Prior, PriorScale, PriorSteps,
};
pub use sequence::{
    Checkpointed, Checkpoints, EmissionFamily, Message, ParticleConfig, Particles, Posterior,
    PriorConfig, Recurrence, Rollout, SequenceBound, SequenceForecast, SequenceForecaster,
    SequenceForecasterConfig, SequenceLayer, SequenceLoss, SequenceObjective, Series,
    SmoothedSequence, StepInput, Taken, Unroll, Unrolled, checkpointed, checkpointed_smooth,
    filter, predict, rollout, sequence_diagnostics, smooth, smooth_terms, unroll, unroll_terms,
};
pub use sequence_measures::{SequenceMeasures, sequence_measures};
pub use stack::{
    Activation, Activities, LayerOutputs, MAX_DEPTH, PerLayer, Replaced, Stack, StackLayer,
    StackLayerConfig, StackOutput, StackPass, TwinUnits,
};
pub use statistics::UnitStatistics;
pub use window_persistence::window_persistence;
