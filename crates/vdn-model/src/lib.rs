//! Networks whose units are distributions: parameters, layers of variational units, stacks, priors,
//! controllers and diagnostics.
//!
//! A module ([`Linear`](modules::Linear), [`VariationalLayer`](units::VariationalLayer),
//! [`Stack`](units::Stack), ...) holds no numbers. It knows the [`ParameterId`](core::ParameterId)s
//! of its tensors, which are stored in [`Parameters`](core::Parameters). Its `forward` method
//! records operations on the tape of a [`Graph`](core::Graph). The graph binds parameters to
//! variables, knows whether the pass trains or evaluates, and addresses the noise. The same modules
//! run in `f32`, for speed, and in `f64`, for checks.
//!
//! The public modules, from the foundation up. Each depends only on the modules above it in this
//! table:
//!
//! | module | contents |
//! |---|---|
//! | [`core`] | parameters, the graph of a pass, initialisation, noise streams, errors |
//! | [`modules`] | deterministic parts: affine maps, layer normalisation |
//! | [`priors`] | priors of units, at one time or along a sequence |
//! | [`objective`] | the terms that a layer adds to the loss: weighted KL and constraints |
//! | [`units`] | layers of units, stacks of layers, their statistics, inference by moments |
//! | [`diagnostics`] | measures of units, modes of collapse, which units are living |
//! | [`controllers`] | feedback loops that keep units inside their constraints during training |
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

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
