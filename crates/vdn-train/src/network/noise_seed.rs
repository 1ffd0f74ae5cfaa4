//! [`NoiseSeed`]: what the noise of a run starts from.

use vdn_tensor::noise::{Generator, NoiseKey};

/// A seed and the generator that turns it into noise: what all noise of a training run or of an evaluation is addressed
/// from. A bare seed is one of the default generator.
///
/// ```
/// use vdn_tensor::noise::{Generator, NoiseKey};
/// use vdn_train::train::NoiseSeed;
/// let seed = NoiseSeed::from(7);
/// assert_eq!(seed.key(0, 3), NoiseKey::new(7, 0, 3));
/// let other = NoiseSeed { generator: Generator::Ars7, ..seed };
/// assert_eq!(other.key(0, 3), NoiseKey::new(7, 0, 3).with_generator(Generator::Ars7));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoiseSeed {
    /// The seed.
    pub seed: u64,
    /// The function from addresses to random words.
    pub generator: Generator,
}

impl NoiseSeed {
    /// The noise of a stream in a step.
    #[must_use]
    pub const fn key(self, stream: u32, step: u32) -> NoiseKey {
        NoiseKey::new(self.seed, stream, step).with_generator(self.generator)
    }
}

impl From<u64> for NoiseSeed {
    fn from(seed: u64) -> Self {
        Self { seed, generator: Generator::default() }
    }
}
