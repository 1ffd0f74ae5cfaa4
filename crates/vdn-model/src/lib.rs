//! Networks whose units are distributions: parameters, layers of variational units, stacks, priors,
//! controllers and diagnostics.
//!
//! A module ([`Linear`](modules::Linear), [`VariationalLayer`](units::VariationalLayer),
//! [`Stack`](units::Stack), ...) holds no numbers: it knows the
//! [`ParameterId`](core::ParameterId)s of its tensors, which live in
//! [`Parameters`](core::Parameters). Its `forward` records operations on the tape of a
//! [`Graph`](core::Graph), which binds parameters to variables, knows whether the pass trains or
//! evaluates, and addresses the noise. The same modules run in `f32` (fast) and in `f64` (to
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

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
