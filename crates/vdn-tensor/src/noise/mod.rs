//! Counter-based noise: every random number is a pure function of its address.
//!
//! The address is `(seed, stream, step, sample, element)`. Nothing draws "the next" number from a
//! shared generator. This has three consequences:
//!
//! * Neither threads, nor the order of execution, nor the SIMD level can change a result.
//! * A backward pass can regenerate noise instead of storing it.
//! * A run can be repeated with the noise of one unit changed.
//!
//! Layout: a tile of four rows by sixteen columns of a `[rows, columns]` array has sixteen blocks
//! of four words, so one evaluation gives a kernel four rows of sixteen normals. The place of each
//! word in the tile depends on the [`Generator`]; each uses its cheapest layout. A block of
//! Philox4x32-10, the default, belongs to one column and four rows. A block of ARS-7 belongs to one
//! row and four neighbouring columns. In each column, the words of rows 0 and 1 become two normals
//! by Box-Muller, and so do the words of rows 2 and 3. A flat array is addressed as rows of sixteen
//! columns.

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
