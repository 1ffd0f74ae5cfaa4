//! [`NoiseSeed`]: the seed of all noise of a run.

use vdn_tensor::noise::{Generator, NoiseKey};

/// A seed, and the generator that turns addresses into noise. All noise of a training run or an
/// evaluation is addressed from it. A bare seed uses the default generator.
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
    /// The key of the noise of a stream in a step.
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
