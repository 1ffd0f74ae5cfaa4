//! Rounds of AES on the sixteen blocks of a tile, with AES instructions: AES-NI on one block, VAES
//! on two or four.
//!
//! The SIMD level of a machine does not imply that it has these instructions, so each function
//! enables what it needs itself. One call serves 64 words. Blocks are independent: four vectors of
//! 512 bits, or eight of 256 or 128 bits, are in flight and hide the latency of a round.

/// The AES instructions that this machine has: the proof that they may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aes(Width);

#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "never detected"))]
enum Width {
    /// One block at a time.
    Narrow,
    /// Two blocks at a time, or four.
    Wide,
}

impl Aes {
    /// Detects the instructions of this machine, if any; the standard library caches the result.
    #[must_use]
    pub(crate) fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            if is_x86_feature_detected!("vaes") {
                return Some(Self(Width::Wide));
            }
            if is_x86_feature_detected!("aes") {
                return Some(Self(Width::Narrow));
            }
        }
        None
    }

    /// Returns every implementation that this machine can run, for tests: the one that is used, the
    /// narrow one, and none.
    #[cfg(test)]
    pub(crate) fn ways() -> Vec<Option<Self>> {
        let narrow = Self::detect().map(|_| Self(Width::Narrow));
        #[cfg(target_arch = "x86_64")]
        let narrow = narrow.filter(|_| is_x86_feature_detected!("aes"));
        vec![Self::detect(), narrow, None]
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Aes, Width};
    use crate::noise::Words;
    use crate::simd::{Avx2, Avx512};
    use std::arch::x86_64::*;

    /// The number of every block of a tile in its first word; it is added to the state of the first
    /// block.
    const NUMBERS: [Words; 4] = {
        let mut numbers = [[0; 16]; 4];
        let mut block = 0;
        while block < 16 {
            numbers[block / 4][block % 4 * 4] = block as u32;
            block += 1;
        }
        numbers
    };

    impl Aes {
        /// Applies the rounds with `keys` to sixteen blocks. The states before the first round are
        /// `fixed` plus `[first + i, sample, 0, 0]`; `first` is a multiple of sixteen.
        #[inline(always)]
        pub(crate) fn tile<const ROUNDS: usize>(
            self,
            _level: Avx2,
            fixed: &[u32; 4],
            at: [u32; 2],
            keys: &[Words; ROUNDS],
        ) -> [Words; 4] {
            match self.0 {
                // SAFETY: made by `detect`, which found avx2 with aes or vaes.
                Width::Narrow => unsafe { by_one(fixed, at, keys) },
                // SAFETY: as above.
                Width::Wide => unsafe { by_two(fixed, at, keys) },
            }
        }

        /// Does the same on the level AVX-512.
        #[inline(always)]
        pub(crate) fn tile_512<const ROUNDS: usize>(
            self,
            _level: Avx512,
            fixed: &[u32; 4],
            at: [u32; 2],
            keys: &[Words; ROUNDS],
        ) -> [Words; 4] {
            match self.0 {
                // SAFETY: made by `detect`, which found avx2 with aes or vaes.
                Width::Narrow => unsafe { by_one(fixed, at, keys) },
                // SAFETY: as above, and the level's token proves avx512f.
                Width::Wide => unsafe { by_four(fixed, at, keys) },
            }
        }
    }

    /// Defines the function of one vector width: `$blocks` blocks per vector, `$flight` vectors in
    /// flight.
    macro_rules! tile {
        ($name:ident, $features:literal, $blocks:literal, $flight:literal, $broadcast:expr,
            $load:ident, $store:ident, $add:ident, $round:ident, $last:ident) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name<const KEYS: usize>(
                fixed: &[u32; 4],
                [first, sample]: [u32; 2],
                keys: &[Words; KEYS],
            ) -> [Words; 4] {
                const WORDS: usize = 4 * $blocks;
                // Built in registers: four words stored one by one would have to reach the cache
                // before they can be read as one.
                let at = _mm_set_epi32(0, 0, sample as i32, first as i32);
                // SAFETY: four words are 128 bits.
                let fixed = unsafe { _mm_loadu_si128(fixed.as_ptr().cast()) };
                let start = $broadcast(_mm_xor_si128(fixed, at));
                let mut words = [[0; 16]; 4];
                let numbers = NUMBERS.as_flattened().chunks_exact(WORDS * $flight);
                for (to, numbers) in
                    words.as_flattened_mut().chunks_exact_mut(WORDS * $flight).zip(numbers)
                {
                    let mut x = [start; $flight];
                    for i in 0..$flight {
                        // SAFETY: the piece holds `$flight` times the words of a vector.
                        let number = unsafe { $load(numbers.as_ptr().add(i * WORDS).cast()) };
                        x[i] = $add(start, number);
                    }
                    for key in &keys[1..KEYS - 1] {
                        // SAFETY: sixteen words are as many as any vector's, or more.
                        let key = unsafe { $load(key.as_ptr().cast()) };
                        for x in &mut x {
                            *x = $round(*x, key);
                        }
                    }
                    // SAFETY: as above.
                    let key = unsafe { $load(keys[KEYS - 1].as_ptr().cast()) };
                    for i in 0..$flight {
                        // SAFETY: as of `numbers`.
                        unsafe { $store(to.as_mut_ptr().add(i * WORDS).cast(), $last(x[i], key)) };
                    }
                }
                words
            }
        };
    }

    tile!(
        by_one,
        "avx2,aes",
        1,
        8,
        std::convert::identity,
        _mm_loadu_si128,
        _mm_storeu_si128,
        _mm_xor_si128,
        _mm_aesenc_si128,
        _mm_aesenclast_si128
    );
    tile!(
        by_two,
        "avx2,vaes",
        2,
        8,
        _mm256_broadcastsi128_si256,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        _mm256_xor_si256,
        _mm256_aesenc_epi128,
        _mm256_aesenclast_epi128
    );
    tile!(
        by_four,
        "avx512f,vaes",
        4,
        4,
        _mm512_broadcast_i32x4,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_xor_si512,
        _mm512_aesenc_epi128,
        _mm512_aesenclast_epi128
    );
}
