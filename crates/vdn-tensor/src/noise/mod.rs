//! Counter-based noise: every random number is a pure function of its address.
//!
//! The address is `(seed, stream, step, sample, element)`; nothing draws "the next" number from a shared generator. So
//! neither threads nor the order of execution nor the SIMD level can change a result, a backward pass can regenerate
//! noise instead of storing it, and a run can be repeated with the noise of one unit changed.
//!
//! Layout: one Philox4x32-10 block of four words belongs to one column and four consecutive rows of a `[rows, columns]`
//! array; the word pairs (0, 1) and (2, 3) become two normals each by Box-Muller. Sixteen neighbouring columns are one
//! lane group, so a kernel gets four rows of sixteen normals from one evaluation. A flat array is addressed as rows of
//! sixteen columns.

pub mod box_muller;
mod key;
mod philox;
mod rng;

pub use key::NoiseKey;
pub use philox::{Rounds, philox4x32};
pub use rng::NoiseRng;

use crate::simd::LANES;

/// One word for each lane.
pub type Words = [u32; LANES];
