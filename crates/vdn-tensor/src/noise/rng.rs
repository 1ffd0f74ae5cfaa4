//! [`NoiseRng`]: addressed noise behind the traits of `rand`, so that rand's distributions,
//! shuffles and adaptors work on the same streams.

use super::NoiseKey;
use rand_core::{TryRng, utils};
use std::convert::Infallible;

/// A random number generator that reads the words of one [`NoiseKey`] in order. A copy repeats
/// them; keys with different streams never share words.
///
/// ```
/// use rand_core::Rng;
/// use vdn_tensor::noise::{NoiseKey, NoiseRng};
/// let mut a = NoiseRng::new(NoiseKey::new(1, 0, 0));
/// let mut b = a.clone();
/// assert_eq!(a.next_u64(), b.next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct NoiseRng {
    key: NoiseKey,
    position: u64,
    words: [u32; 4],
    used: usize,
}

impl NoiseRng {
    /// Creates a generator that starts at the first word of `key`.
    #[must_use]
    pub fn new(key: NoiseKey) -> Self {
        Self { key, position: 0, words: [0; 4], used: 4 }
    }
}

impl TryRng for NoiseRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == self.words.len() {
            self.words = self.key.block(self.position as u32, (self.position >> 32) as u32);
            self.position += 1;
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        Ok(word)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(to, || self.try_next_u32())
    }
}
