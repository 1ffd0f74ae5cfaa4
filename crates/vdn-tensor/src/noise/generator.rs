//! [`Generator`]: the choice of the function from addresses to random words; and that function for
//! the tiles of one tensor.

use super::ars::Ars;
use super::philox::Philox;
use crate::element::Element;
use crate::simd::{LANES, Simd};

/// A counter-based generator: a fixed function from a key and a counter to four random words.
///
/// Both pass the same statistical tests, and both give the same numbers on every machine, SIMD
/// level and number of threads. The numbers of the two are unrelated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generator {
    /// Philox4x32-10: multiplications; fast everywhere.
    #[default]
    Philox10,
    /// ARS-7: rounds of AES. It is several times as fast as Philox if the processor has AES
    /// instructions and the level is not `Portable`. Elsewhere, and in `f64`, it is slower than
    /// Philox.
    Ars7,
}

/// A generator for counters `[position, sample, step, stream]` of one key, step and stream, for
/// many tiles of four rows of sixteen columns.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for a whole tensor, on the stack")]
pub enum Rounds {
    /// The generator of [`Generator::Philox10`].
    Philox(Philox),
    /// The generator of [`Generator::Ars7`].
    Ars(Ars),
}

impl Rounds {
    /// Returns the four rows of words of the tile at the positions from `first` on; `first` is a
    /// multiple of sixteen.
    #[inline(always)]
    pub fn words<S: Simd>(&self, simd: S, first: u32, sample: u32) -> [S::U32; 4] {
        match self {
            Self::Philox(philox) => {
                let position = simd.load_u32(&LANE_NUMBERS) + simd.splat_u32(first);
                philox.words(simd, position, sample)
            }
            Self::Ars(ars) => ars.words(simd, first, sample),
        }
    }

    /// Returns standard normals for the four rows of that tile.
    #[inline(always)]
    pub fn normals<S: Simd, T: Element>(
        &self,
        simd: S,
        first: u32,
        sample: u32,
    ) -> [T::Lanes<S>; 4] {
        let [w0, w1, w2, w3] = self.words(simd, first, sample);
        let [[a, b], [c, d]] = T::normal_pairs([[w0, w1], [w2, w3]], simd);
        [a, b, c, d]
    }
}

const LANE_NUMBERS: [u32; LANES] = {
    let mut lanes = [0; LANES];
    let mut i = 0;
    while i < LANES {
        lanes[i] = i as u32;
        i += 1;
    }
    lanes
};
