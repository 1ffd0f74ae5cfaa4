//! [`Generator`]: which function turns addresses into random words; and that function for one tensor's tiles.

use super::ars::Ars;
use super::philox::Philox;
use crate::element::Element;
use crate::simd::{LANES, Simd};

/// A counter-based generator: a fixed function from a key and a counter to four random words.
///
/// Both pass the same statistical tests, and both give the same numbers on every machine, SIMD level and number of
/// threads; the numbers of one have nothing to do with those of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generator {
    /// Philox4x32-10: multiplications, fast everywhere.
    #[default]
    Philox10,
    /// ARS-7: rounds of AES. Several times as fast as Philox where the processor has instructions for them and the level is
    /// not `Portable`; slower than Philox elsewhere, and in `f64`.
    Ars7,
}

/// A generator for counters `[position, sample, step, stream]` of one key, step and stream, for many tiles of four rows
/// of sixteen columns.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for a whole tensor, on the stack")]
pub enum Rounds {
    /// Of [`Generator::Philox10`].
    Philox(Philox),
    /// Of [`Generator::Ars7`].
    Ars(Ars),
}

impl Rounds {
    /// The four rows of words of the tile at the positions from `first` on, a multiple of sixteen.
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

    /// Standard normals for the four rows of that tile.
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
