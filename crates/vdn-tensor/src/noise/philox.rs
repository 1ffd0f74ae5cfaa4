//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
//! numbers: as easy as 1, 2, 3" (SC 2011): ten rounds of two 32-bit multiplications on a 128-bit
//! counter with a 64-bit key.

use super::Words;
use crate::simd::{LANES, Pairs, Simd, U32Lanes};

/// The two multipliers of the paper.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The increments of the key per round: the golden ratio, and the square root of three minus one,
/// both times 2^32.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// The number of rounds: the paper's choice, with a margin of safety (seven pass its test
/// batteries).
const ROUNDS: u32 = 10;

/// Returns one block: four random words from a counter and a key.
///
/// ```
/// use vdn_tensor::noise::philox4x32;
/// // A known-answer vector published with the generator.
/// assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    for round in 0..ROUNDS {
        let [high0, low0] = wide(MULTIPLIERS[0], c[0]);
        let [high1, low1] = wide(MULTIPLIERS[1], c[2]);
        let [k0, k1] = round_key(key, round);
        c = [high1 ^ c[1] ^ k0, low1, high0 ^ c[3] ^ k1, low0];
    }
    c
}

#[inline(always)]
fn wide(a: u32, b: u32) -> [u32; 2] {
    let product = u64::from(a) * u64::from(b);
    [(product >> 32) as u32, product as u32]
}

#[inline(always)]
fn round_key(key: [u32; 2], round: u32) -> [u32; 2] {
    [
        key[0].wrapping_add(WEYL[0].wrapping_mul(round)),
        key[1].wrapping_add(WEYL[1].wrapping_mul(round)),
    ]
}

/// The generator for counters `[position, sample, step, stream]` of one key, step and stream, for
/// many positions.
///
/// Values that depend on neither position nor sample are computed once. The effect of the first two
/// rounds on all words but the position is folded into constants, which leaves seven of their
/// sixteen operations.
///
/// Constants are stored for all lanes, so that they can be memory operands: there are more of them
/// than registers.
#[derive(Clone, Debug)]
pub struct Philox {
    keys: [[Words; 2]; ROUNDS as usize],
    /// The constants of the third word in the first round, and of the first word in the second.
    folded: [Words; 2],
    /// The first word after the first round, without the sample.
    first: u32,
    /// The round keys of the values that depend on the sample.
    third_keys: [u32; 2],
}

impl Philox {
    /// Creates the generator of a key, a step and a stream.
    #[must_use]
    pub(crate) fn new(key: [u32; 2], step: u32, stream: u32) -> Self {
        let k = |round| round_key(key, round);
        let [high, low] = wide(MULTIPLIERS[1], step);
        let mut keys = [[[0; LANES]; 2]; ROUNDS as usize];
        for (round, to) in keys.iter_mut().enumerate() {
            *to = k(round as u32).map(|k| [k; LANES]);
        }
        Self {
            keys,
            folded: [[stream ^ k(0)[1]; LANES], [low ^ k(1)[0]; LANES]],
            first: high ^ k(0)[0],
            third_keys: [k(1)[1], k(2)[1]],
        }
    }

    /// Returns the constants of `sample`: of the third word in the second and in the third round.
    #[inline(always)]
    fn of_sample<S: Simd>(&self, simd: S, sample: u32) -> [S::U32; 2] {
        let [high, low] = wide(MULTIPLIERS[0], self.first ^ sample);
        [simd.splat_u32(high ^ self.third_keys[0]), simd.splat_u32(low ^ self.third_keys[1])]
    }

    /// Returns the four words of the blocks `position` (one per lane) of `sample`.
    #[inline(always)]
    pub fn words<S: Simd>(&self, simd: S, position: S::U32, sample: u32) -> [S::U32; 4] {
        simd.philox(self, position, sample)
    }

    /// Computes sixteen blocks, one per lane, by full products of all lanes.
    #[inline(always)]
    pub(crate) fn words_in_lanes<S: Simd>(
        &self,
        simd: S,
        position: S::U32,
        sample: u32,
    ) -> [S::U32; 4] {
        let (m0, m1) = (simd.splat_u32(MULTIPLIERS[0]), simd.splat_u32(MULTIPLIERS[1]));
        let [second, third] = self.of_sample(simd, sample);
        let (high0, low0) = position.mul_wide(m0);
        let (high1, low1) = (high0 ^ simd.load_u32(&self.folded[0])).mul_wide(m1);
        let (c0, c2) = (high1 ^ simd.load_u32(&self.folded[1]), low0 ^ second);
        let ((high0, low0), (high1, c1)) = (c0.mul_wide(m0), c2.mul_wide(m1));
        let c0 = high1 ^ (low1 ^ simd.load_u32(&self.keys[2][0]));
        let mut c = [c0, c1, high0 ^ third, low0];
        for keys in &self.keys[3..] {
            let (high0, low0) = c[0].mul_wide(m0);
            let (high1, low1) = c[2].mul_wide(m1);
            let [k0, k1] = [simd.load_u32(&keys[0]), simd.load_u32(&keys[1])];
            c = [high1 ^ (c[1] ^ k0), low1, high0 ^ (c[3] ^ k1), low0];
        }
        c
    }

    /// Computes the same words from products of pairs of lanes. Blocks of even and odd lanes stay
    /// separate until the last round, with each word in the low half of a pair, so nothing has to
    /// be moved between the rounds. `N` of the two halves run side by side: 1 if registers are few,
    /// 2 if they are many.
    #[inline(always)]
    pub(crate) fn words_in_pairs<S: Simd, const N: usize>(
        &self,
        simd: S,
        position: S::U32,
        sample: u32,
    ) -> [S::U32; 4]
    where
        S::U32: Pairs,
    {
        let constants = self.of_sample(simd, sample);
        let (even, odd) = (position, position.high());
        let [even, odd] = if N == 2 {
            self.but_one(simd, [even, odd], constants)
        } else {
            let [even] = self.but_one(simd, [even], constants);
            // Hides that this is the same generator: the compiler would keep the loaded keys for
            // the second half on the stack.
            let [odd] = std::hint::black_box(self).but_one(simd, [odd], constants);
            [even, odd]
        };
        let (m0, m1) = (simd.splat_u32(MULTIPLIERS[0]), simd.splat_u32(MULTIPLIERS[1]));
        let [k0, k1] = &self.keys[ROUNDS as usize - 1];
        let (even0, even1) = (even[0].mul_even(m0), even[2].mul_even(m1));
        let (odd0, odd1) = (odd[0].mul_even(m0), odd[2].mul_even(m1));
        [
            even1.zip_high(odd1) ^ (even[1].zip_low(odd[1]) ^ simd.load_u32(k0)),
            even1.zip_low(odd1),
            even0.zip_high(odd0) ^ (even[3].zip_low(odd[3]) ^ simd.load_u32(k1)),
            even0.zip_low(odd0),
        ]
    }

    /// Applies all rounds but the last to `N` times eight blocks, whose words are in the low halves
    /// of pairs.
    #[inline(always)]
    fn but_one<S: Simd, const N: usize>(
        &self,
        simd: S,
        position: [S::U32; N],
        [second, third]: [S::U32; 2],
    ) -> [[S::U32; 4]; N]
    where
        S::U32: Pairs,
    {
        let (m0, m1) = (simd.splat_u32(MULTIPLIERS[0]), simd.splat_u32(MULTIPLIERS[1]));
        let k = &self.keys;
        let mut c = [[m0; 4]; N];
        for n in 0..N {
            let product0 = position[n].mul_even(m0);
            let product1 = (product0.high() ^ simd.load_u32(&self.folded[0])).mul_even(m1);
            let c0 = product1.high() ^ simd.load_u32(&self.folded[1]);
            let c2 = product0 ^ second;
            let (product0, next1) = (c0.mul_even(m0), c2.mul_even(m1));
            let c0 = next1.high() ^ (product1 ^ simd.load_u32(&k[2][0]));
            c[n] = [c0, next1, product0.high() ^ third, product0];
        }
        // Unrolled by hand: the compiler would keep a loop.
        c = round(simd, c, &k[3]);
        c = round(simd, c, &k[4]);
        c = round(simd, c, &k[5]);
        c = round(simd, c, &k[6]);
        c = round(simd, c, &k[7]);
        round(simd, c, &k[8])
    }
}

/// Applies one round to `N` times eight blocks, whose words are in the low halves of pairs.
#[inline(always)]
fn round<S: Simd, const N: usize>(
    simd: S,
    mut c: [[S::U32; 4]; N],
    [k0, k1]: &[Words; 2],
) -> [[S::U32; 4]; N]
where
    S::U32: Pairs,
{
    let (m0, m1) = (simd.splat_u32(MULTIPLIERS[0]), simd.splat_u32(MULTIPLIERS[1]));
    let (k0, k1) = (simd.load_u32(k0), simd.load_u32(k1));
    for c in &mut c {
        let (product0, product1) = (c[0].mul_even(m0), c[2].mul_even(m1));
        let (c0, c2) = (product1.high() ^ (c[1] ^ k0), product0.high() ^ (c[3] ^ k1));
        *c = [c0, product1, c2, product0];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch;
    use crate::simd::available;

    /// The known-answer vectors published with the reference implementation (Random123,
    /// `kat_vectors`).
    const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];

    #[test]
    fn known_answers() {
        for (counter, key, want) in KNOWN {
            assert_eq!(philox4x32(counter, key), want, "counter {counter:x?} key {key:x?}");
        }
    }

    #[inline(always)]
    fn lanes<S: Simd>(simd: S, rounds: &Philox, positions: &Words, sample: u32) -> [Words; 4] {
        let mut out = [[0; LANES]; 4];
        for (o, x) in out.iter_mut().zip(rounds.words(simd, simd.load_u32(positions), sample)) {
            x.store(o);
        }
        out
    }

    #[test]
    fn every_level_gives_the_scalar_words() {
        let key = [17, 0xffff_fff0];
        for fixed in [[0, 0, 0], [1, 2, 3], [u32::MAX, 0x8765_4321, 0xdead_beef]] {
            let [sample, step, stream] = fixed;
            let rounds = Philox::new(key, step, stream);
            for start in [0_u32, 0xffff_fff0, 0x1234_5678] {
                let positions = std::array::from_fn(|i| {
                    start.wrapping_add((i as u32).pow(3)) ^ (i as u32) << 29
                });
                for level in available() {
                    let got = dispatch!(level, simd => lanes(simd, &rounds, &positions, sample));
                    for i in 0..LANES {
                        let want = philox4x32([positions[i], sample, step, stream], key);
                        assert_eq!(got.map(|w| w[i]), want, "{level} lane {i} {fixed:?}");
                    }
                }
            }
        }
    }
}
