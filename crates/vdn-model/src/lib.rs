//! Networks whose units are distributions: parameters, layers of variational units, stacks, priors,
//! controllers and diagnostics.
//!
//! A module ([`Linear`], [`VariationalLayer`], [`Stack`], ...) holds no numbers: it knows the
//! [`ParameterId`]s of its tensors, which live in [`Parameters`]. Its `forward` records operations
//! on the tape of a [`Graph`], which binds parameters to variables, knows whether the pass trains
//! or evaluates, and addresses the noise. The same modules run in `f32` (fast) and in `f64` (to
//! check).
//!
//! The rooms, from the ground up; a room knows those above it in this table and no other:
//!
//! | room | what lives there |
//! |---|---|
//! | [`core`] | parameters, the graph of a pass, initialisation, noise streams, errors |
//! | [`modules`] | deterministic parts: affine maps, layer normalisation |
//! | [`priors`] | what a unit is without evidence, at one time or along a sequence |
//! | [`objective`] | what a layer adds to the loss: weighted KL and constraints |
//! | [`units`] | layers of units, stacks of layers, their statistics, inference by moments |
//! | [`diagnostics`] | what units carry, which collapse, which live |
//! | [`controllers`] | what keeps units inside their constraints while they learn |
//! | [`sequence`] | units along time: filtering, smoothing, prediction, rollout |

#![forbid(unsafe_code)]

pub mod controllers;
pub mod core;
pub mod diagnostics;
pub mod modules;
pub mod objective;
pub mod priors;
pub mod sequence;
pub mod units;

pub use crate::core::{
    Bindings, Builder, Graph, Init, Mode, ModelError, Parameter, ParameterId, ParameterKey,
    Parameters, Purpose, Stream, mixture_quantile, streams,
};
pub use modules::{LayerNorm, Linear, MlpEncoder};
pub use objective::{
    ArScale, ArTerm, BandCentre, BandTerm, BetweenWindows, CapacityTerm, EarlierWindow,
    LocalObjective, LocalTerms, Objective, SequenceMeasures, UnitMeasures, ar_penalty,
    window_persistence,
};
pub use priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig,
    PersistenceStart, Prior, PriorScale, PriorSteps,
};
pub use sequence::{
    Checkpointed, Checkpoints, Message, Posterior, Recurrence, Rollout, SequenceLayer,
    SequenceLayerConfig, SmoothedSequence, StepInput, Taken, Unroll, Unrolled, checkpointed,
    checkpointed_smooth, filter, predict, rollout, sequence_diagnostics, sequence_measures,
    sequence_output, smooth, smooth_terms, step_persistence, unroll, unroll_terms,
};
pub use units::{
    Activation, Activities, Intervention, LayerConfig, LayerOutput, LayerOutputs, LayerPrior,
    Layers, MAX_DEPTH, PerLayer, Replaced, SigmaMode, Stack, StackLayer, StackLayerConfig,
    StackOutput, StackPass, TwinUnits, UnitFamily, UnitLayer, UnitStatistics, VariationalLayer,
    moments,
};

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
