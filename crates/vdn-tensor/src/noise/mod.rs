//! Counter-based noise: every random number is a pure function of its address.
//!
//! The address is `(seed, stream, step, sample, element)`; nothing draws "the next" number from a shared generator. So
//! neither threads nor the order of execution nor the SIMD level can change a result, a backward pass can regenerate
//! noise instead of storing it, and a run can be repeated with the noise of one unit changed.
//!
//! Layout: a tile of four rows by sixteen columns of a `[rows, columns]` array has sixteen blocks of four words, so that a
//! kernel gets four rows of sixteen normals from one evaluation. Which word belongs to which place of the tile depends on
//! the [`Generator`], as each makes it cheapest: a block of Philox4x32-10, the default, belongs to one column and four
//! rows, one of ARS-7 to one row and four neighbouring columns. In each column the words of rows 0 and 1, and those of rows
//! 2 and 3, become two normals by Box-Muller. A flat array is addressed as rows of sixteen columns.

mod ars;
pub mod box_muller;
mod generator;
mod key;
mod philox;
mod rng;

pub use ars::{Ars, ars4x32};
pub use generator::{Generator, Rounds};
pub use key::NoiseKey;
pub use philox::{Philox, philox4x32};
pub use rng::NoiseRng;

use crate::simd::LANES;

/// One word for each lane.
pub type Words = [u32; LANES];
