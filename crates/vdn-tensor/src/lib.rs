//! SIMD tensors for neural networks whose units are distributions.
//!
//! This crate contains kernels without gradients; the tape that differentiates is in
//! `vdn-autograd`. Its parts:
//!
//! * shapes and buffers: [`Shape`], [`Tensor`], [`View`];
//! * the SIMD core, with sixteen lanes on every level: [`simd`];
//! * vector mathematics with stated error bounds: [`math`];
//! * counter-based normal noise: [`noise`];
//! * the kernels, among them the fused sampling and KL kernel of a Gaussian unit: [`kernels`];
//! * threads: [`parallel`].
//!
//! Features, none of them on by default: `ndarray` (tensors from and to arrays of the crate
//! `ndarray`), `npy` (tensors from and to NumPy files), `serde` (names of settings).
//!
//! Results are bit-identical for any number of threads, and across AVX2 and AVX-512.

#[cfg(feature = "ndarray")]
mod arrays;
mod buffer;
mod dual;
mod element;
mod error;
mod extent;
pub mod families;
pub mod kernels;
pub mod math;
pub mod noise;
#[cfg(feature = "npy")]
pub mod npy;
pub mod parallel;
mod real;
mod shape;
pub mod simd;
mod tensor;

pub use buffer::{Buffer, with_scratch};
pub use dual::Dual;
pub use element::{ByElement, Element, load_partial, store_partial};
pub use error::ShapeError;
pub use real::{Mask, Real};
pub use shape::{MAX_RANK, Shape};
pub use tensor::{Tensor, View, ViewMut};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
