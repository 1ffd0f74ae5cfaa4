//! Reverse-mode automatic differentiation on a tape, over the tensors and kernels of `vdn-tensor`.
//!
//! A [`Tape`] records operations on [`Var`]s and differentiates a scalar with respect to its
//! leaves. An operation is one type with forward and backward pass together ([`Op`]), and may have
//! several outputs. Operations defined outside this crate are recorded like the built-in ones.
//! Everything works in `f32`, for training, and in `f64`, for checks ([`check_gradients`]).
//!
//! ```
//! use vdn_autograd::Tape;
//! let mut tape = Tape::<f32>::new();
//! let mut weight = 0.0_f32;
//! for _ in 0..50 {
//!     tape.reset(); // keeps the memory: steps after the first allocate nothing
//!     let w = tape.variable([], &[weight])?;
//!     let error = tape.add_scalar(w, -3.0)?;
//!     let loss = tape.square(error)?;
//!     tape.backward(loss)?;
//!     weight -= 0.1 * tape.gradient(w).and_then(|g| g.item()).unwrap_or(0.0);
//! }
//! assert!((weight - 3.0).abs() < 1e-3);
//! # Ok::<(), vdn_autograd::Error>(())
//! ```

#![forbid(unsafe_code)]

mod check;
mod compiled_once;
mod elementwise;
mod error;
mod gradients;
mod labels;
mod node;
mod non_finite;
mod op;
mod ops;
mod profile;
mod record;
mod size_class;
mod tape;
mod var;

pub use check::{Entry, Report, check_direction, check_gradients};
pub use elementwise::{SlopeReads, Unary, UnaryFormula};
pub use error::Error;
pub use labels::Label;
pub use non_finite::NonFinite;
pub use op::{MAX_INPUTS, MAX_OUTPUTS, Op, Shapes};
pub use ops::{
    ConditionalPrior, Gap, LocationScale, LowRankNll, LowRankOutputs, MixtureNll, Noise,
    ObservationFamily, Persistence, SampleKl, StepOutputs, UnitOutputs,
};
pub use profile::{Profile, ProfileEntry};
pub use tape::Tape;
pub use var::{Outputs, Var};
pub use vdn_tensor::kernels::Pool;
pub use vdn_tensor::kernels::likelihood::{Density, Score};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
