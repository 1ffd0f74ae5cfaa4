//! ARS-7, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
//! as easy as 1, 2, 3" (SC 2011). It applies seven rounds of the block cipher AES (FIPS 197) to a
//! 128-bit counter, with a key schedule of additions in place of the cipher's own. It is not a
//! cipher. On processors with AES instructions it is the cheapest generator; elsewhere it costs
//! more than Philox.
//!
//! A block is the cipher's state: word `j` is column `j`, and its lowest byte is row 0. The four
//! words of a block are neighbours in memory, so sixteen blocks form a tile of four rows of sixteen
//! columns without any transposition.

use super::Words;
use crate::simd::{Aes, LANES, Simd};

/// The number of rounds: the authors' choice, with a margin (they know of no flaw from five on).
const ROUNDS: usize = 7;
/// The increments of the key per round, as two 64-bit halves: the golden ratio, and the square root
/// of three minus one, both times 2^64.
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];

/// Returns one block: four random words from a counter and a key.
///
/// ```
/// use vdn_tensor::noise::ars4x32;
/// // A known-answer vector published with the generator.
/// assert_eq!(ars4x32([1, 0, 0, 0], [1, 0, 0, 0]), [0x3523162b, 0xdc14d20c, 0x79184077, 0x72184193]);
/// ```
#[must_use]
pub fn ars4x32(counter: [u32; 4], key: [u32; 4]) -> [u32; 4] {
    encrypt(counter, &round_keys::<{ ROUNDS + 1 }>(key))
}

/// Returns the keys before the first round and after each round.
fn round_keys<const N: usize>(key: [u32; 4]) -> [[u32; 4]; N] {
    let mut halves = [0, 1].map(|i| u64::from(key[2 * i]) | u64::from(key[2 * i + 1]) << 32);
    [(); N].map(|()| {
        let [a, b] = halves;
        halves = [a.wrapping_add(WEYL[0]), b.wrapping_add(WEYL[1])];
        [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]
    })
}

/// Applies the rounds: the first key is added before them, each of the others after one.
fn encrypt(counter: [u32; 4], keys: &[[u32; 4]]) -> [u32; 4] {
    let mut c = add(counter, keys[0]);
    for key in &keys[1..keys.len() - 1] {
        c = add(round(c), *key);
    }
    add(last_round(c), keys[keys.len() - 1])
}

/// Returns the sum in the cipher's field.
fn add(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    [a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2], a[3] ^ b[3]]
}

/// SubBytes, ShiftRows and MixColumns: row `i` of column `j` comes from column `j + i`.
fn round(c: [u32; 4]) -> [u32; 4] {
    let mut to = [0; 4];
    for (j, to) in to.iter_mut().enumerate() {
        for i in 0..4 {
            let byte = c[(j + i) % 4] >> (8 * i) & 0xff;
            *to ^= MIXED[byte as usize].rotate_left(8 * i as u32);
        }
    }
    to
}

/// SubBytes and ShiftRows alone.
fn last_round(c: [u32; 4]) -> [u32; 4] {
    let mut to = [0; 4];
    for (j, to) in to.iter_mut().enumerate() {
        for i in 0..4 {
            let byte = c[(j + i) % 4] >> (8 * i) & 0xff;
            // The second row of the table has the factor 1.
            *to |= (MIXED[byte as usize] >> 8 & 0xff) << (8 * i);
        }
    }
    to
}

/// For every byte: the result `2 s, s, s, 3 s` of MixColumns for its substitute `s` in row 0 of a
/// column of zeros.
const MIXED: [u32; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let s = substitute(byte as u8);
        let twice = times(s, 2);
        table[byte] = u32::from_le_bytes([twice, s, s, twice ^ s]);
        byte += 1;
    }
    table
};

/// Returns the product in GF(2^8) modulo `x^8 + x^4 + x^3 + x + 1`.
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 == 0 { 0 } else { 0x1b };
        b >>= 1;
    }
    product
}

/// SubBytes of one byte: the inverse in the field (0 for 0), then an affine map of its bits.
const fn substitute(byte: u8) -> u8 {
    // a^254 = 1/a.
    let (mut inverse, mut square, mut k) = (1, byte, 1);
    while k < 8 {
        square = times(square, square);
        inverse = times(inverse, square);
        k += 1;
    }
    let b = inverse;
    b ^ b.rotate_left(1) ^ b.rotate_left(2) ^ b.rotate_left(3) ^ b.rotate_left(4) ^ 0x63
}

/// The generator for counters `[position, sample, step, stream]` of one key, step and stream, for
/// many tiles.
#[derive(Clone, Debug)]
pub struct Ars {
    /// Round keys, for four blocks each.
    pub(crate) keys: [Words; ROUNDS + 1],
    /// The state before the first round, at position 0 of sample 0.
    pub(crate) fixed: [u32; 4],
    /// The AES instructions of this machine.
    pub(crate) aes: Option<Aes>,
}

impl Ars {
    /// Creates the generator of a key, a step and a stream.
    #[must_use]
    pub(crate) fn new(key: [u32; 4], step: u32, stream: u32) -> Self {
        let narrow = round_keys::<{ ROUNDS + 1 }>(key);
        let mut keys = [[0; LANES]; ROUNDS + 1];
        for (to, key) in keys
            .as_flattened_mut()
            .chunks_exact_mut(4)
            .enumerate()
            .map(|(i, to)| (to, narrow[i / 4]))
        {
            to.copy_from_slice(&key);
        }
        Self { keys, fixed: add([0, 0, step, stream], narrow[0]), aes: Aes::detect() }
    }

    /// Returns the words of a tile of four rows of sixteen columns. Word `c % 4` of block
    /// `first + 4 r + c / 4` belongs to row `r` and column `c`. `first` is a multiple of sixteen.
    #[inline(always)]
    pub fn words<S: Simd>(&self, simd: S, first: u32, sample: u32) -> [S::U32; 4] {
        simd.ars(self, first, sample)
    }

    /// Returns the words of a tile, computed without AES instructions.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_software(&self, first: u32, sample: u32) -> [Words; 4] {
        let start = add(self.fixed, [first, sample, 0, 0]);
        let mut words = [[0; LANES]; 4];
        for (i, to) in words.as_flattened_mut().chunks_exact_mut(4).enumerate() {
            let mut c = add(start, [i as u32, 0, 0, 0]);
            for keys in &self.keys[1..ROUNDS] {
                c = add(round(c), [keys[0], keys[1], keys[2], keys[3]]);
            }
            let [k0, k1, k2, k3, ..] = self.keys[ROUNDS];
            to.copy_from_slice(&add(last_round(c), [k0, k1, k2, k3]));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch;
    use crate::simd::{Level, U32Lanes, available};

    /// The known-answer vectors published with the reference implementation (Random123,
    /// `kat_vectors`): of ten rounds.
    const KNOWN: [[[u32; 4]; 3]; 3] = [
        [[0; 4], [0; 4], [0x8d73_ee19, 0x5064_01ef, 0x13c2_dbe4, 0x0cbe_9c0d]],
        [
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0, 0x082e_fa98, 0xec4e_6c89],
            [0xa516_e7d6, 0x8357_ad74, 0x5b59_b3ec, 0x8763_fff3],
        ],
        [
            [u32::MAX; 4],
            [u32::MAX, u32::MAX, 0, 0],
            [0xbb37_43b1, 0x9f63_5551, 0xecbc_87fc, 0xa194_78a9],
        ],
    ];

    #[test]
    fn known_answers() {
        for [counter, key, want] in KNOWN {
            let got = encrypt(counter, &round_keys::<11>(key));
            assert_eq!(got, want, "counter {counter:x?} key {key:x?}");
        }
    }

    /// The counters and keys of the vectors published before (`old_kat_vectors`): one byte of the
    /// four words is not 0.
    fn patterns() -> Vec<[u32; 4]> {
        let bytes = (0..4).flat_map(|word| (0..4).map(move |byte| (word, byte)));
        let pattern = |word, byte, x: u32| {
            let mut pattern = [0; 4];
            pattern[word] = x << (8 * byte);
            pattern
        };
        let ones = bytes.clone().map(|(word, byte)| pattern(word, byte, 1));
        let others = bytes.skip(1);
        let others = others.flat_map(|(word, byte)| [0xff, 0x80].map(|x| pattern(word, byte, x)));
        ones.chain(others).collect()
    }

    /// All 2254 published vectors of seven rounds, and as many of ten: the hash (FNV-1a, 64 bits)
    /// of the published words.
    #[test]
    fn known_answers_of_old() {
        let keys = patterns();
        let mut counters = keys.clone();
        counters.extend([
            [0x886a_3f24, 0xd308_a385, 0x2e8a_1913, 0x4473_7003],
            [0x2238_09a4, 0xd031_9f29, 0x98fa_2e08, 0x896c_4eec],
            [0xe621_2845, 0x7713_d038, 0xcf66_54be, 0x6c0c_e934],
        ]);
        let (mut seven, mut ten, mut vectors) = (Hash::new(), Hash::new(), 0);
        for &key in &keys {
            for &counter in &counters {
                seven.add(ars4x32(counter, key));
                ten.add(encrypt(counter, &round_keys::<11>(key)));
                vectors += 1;
            }
        }
        assert_eq!(vectors, 2254);
        assert_eq!(seven.0, 0xd403_75c0_ebea_41f2, "seven rounds");
        assert_eq!(ten.0, 0xa279_dce6_3bb9_d993, "ten rounds");
        // One vector of each kind, so that a failure shows whether the function or the hash is
        // wrong.
        let (counter, key) = (counters[46], keys[0]);
        let want = [0xbb40_06c7, 0x33db_c0db, 0x1ea0_a1c9, 0x7f95_41e3];
        assert_eq!(ars4x32(counter, key), want);
        let want = [0x21d4_0a5c, 0x21e5_28aa, 0xa1a3_59eb, 0x9c02_b159];
        assert_eq!(encrypt(counter, &round_keys::<11>(key)), want);
    }

    struct Hash(u64);

    impl Hash {
        fn new() -> Self {
            Self(0xcbf2_9ce4_8422_2325)
        }

        fn add(&mut self, words: [u32; 4]) {
            for byte in words.iter().flat_map(|w| w.to_le_bytes()) {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(simd: S, ars: &Ars, first: u32, sample: u32) -> [Words; 4] {
        let mut out = [[0; LANES]; 4];
        for (to, x) in out.iter_mut().zip(ars.words(simd, first, sample)) {
            x.store(to);
        }
        out
    }

    /// On every level, with every kind of AES instructions of this machine.
    #[test]
    fn every_way_gives_the_scalar_words() {
        let key = [17, 0xffff_fff0, 0, 0];
        for [sample, step, stream] in [[0, 0, 0], [1, 2, 3], [u32::MAX, 0x8765_4321, 0xdead_beef]] {
            for first in [0, 16, 0xffff_fff0, 0x1234_5670] {
                for (level, aes) in available()
                    .into_iter()
                    .flat_map(|l| Aes::ways().into_iter().map(move |a| (l, a)))
                {
                    let ars = Ars { aes, ..Ars::new(key, step, stream) };
                    let got = dispatch!(level, simd => tile(simd, &ars, first, sample));
                    for (i, got) in got.as_flattened().chunks(4).enumerate() {
                        let counter = [first + i as u32, sample, step, stream];
                        assert_eq!(got, ars4x32(counter, key), "{level} {aes:?} {counter:x?}");
                    }
                }
            }
        }
    }

    /// On the machines for which the library is made, the instructions are found and used.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn instructions_are_found() {
        let has = Level::Avx2.is_available() && is_x86_feature_detected!("aes");
        assert_eq!(Aes::detect().is_some(), has);
    }
}
