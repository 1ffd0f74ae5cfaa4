//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3" (SC 2011): ten rounds of two 32-bit multiplications on a 128-bit counter with a 64-bit key.

use crate::simd::{Simd, U32Lanes};

/// The two multipliers of the paper.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The key's increments per round: the golden ratio and the square root of three minus one, times 2^32.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Ten rounds: the paper's choice with a margin of safety (seven pass its test batteries).
const ROUNDS: u32 = 10;

/// One block: four random words from a counter and a key.
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

/// Sixteen blocks at once, one a lane, all with the same key.
#[inline(always)]
pub fn philox4x32_lanes<S: Simd>(simd: S, counter: [S::U32; 4], key: [u32; 2]) -> [S::U32; 4] {
    let (m0, m1) = (simd.splat_u32(MULTIPLIERS[0]), simd.splat_u32(MULTIPLIERS[1]));
    let mut c = counter;
    for round in 0..ROUNDS {
        let (high0, low0) = c[0].mul_wide(m0);
        let (high1, low1) = c[2].mul_wide(m1);
        let [k0, k1] = round_key(key, round);
        c = [high1 ^ c[1] ^ simd.splat_u32(k0), low1, high0 ^ c[3] ^ simd.splat_u32(k1), low0];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch;
    use crate::simd::{LANES, available};

    /// The known-answer vectors published with the reference implementation (Random123, `kat_vectors`).
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
    fn lanes<S: Simd>(simd: S, counters: &[[u32; LANES]; 4], key: [u32; 2]) -> [[u32; LANES]; 4] {
        let loaded = counters.map(
            #[inline(always)]
            |c| simd.load_u32(&c),
        );
        let mut out = [[0; LANES]; 4];
        for (o, x) in out.iter_mut().zip(philox4x32_lanes(simd, loaded, key)) {
            x.store(o);
        }
        out
    }

    #[test]
    fn every_level_gives_the_scalar_words() {
        let counters = [0, 1, 2, 3].map(|w: u32| {
            std::array::from_fn(|i| (i as u32 + 1).wrapping_mul(0x9E37_79B9).rotate_left(7 * w) ^ w)
        });
        for level in available() {
            let got = dispatch!(level, simd => lanes(simd, &counters, [17, 0xffff_fff0]));
            for i in 0..LANES {
                let want = philox4x32(counters.map(|c| c[i]), [17, 0xffff_fff0]);
                assert_eq!(got.map(|w| w[i]), want, "{level} lane {i}");
            }
        }
    }
}
