//! [`NoiseKey`]: the part of a noise address that a whole tensor shares.

use super::ars::{Ars, ars4x32};
use super::generator::{Generator, Rounds};
use super::philox::{Philox, philox4x32};
use crate::element::Element;
use crate::extent::check_flat_noise;
use crate::parallel::for_each_chunk;
use crate::simd::{LANES, Lanes, Simd};
use crate::{dispatch, store_partial};

/// The address of a tensor's noise: `(seed, stream, step)`. Within it, each number has a sample, a
/// row and a column.
///
/// Streams separate layers (and purposes within a layer); steps separate training steps.
/// [`NoiseKey::fold_in`] derives a new seed for everything else, such as the time steps of a
/// sequence or a repetition of a run.
///
/// ```
/// use vdn_tensor::noise::NoiseKey;
/// let key = NoiseKey::new(7, 0, 0);
/// let mut noise = [0.0_f32; 100];
/// key.fill_normal(0, &mut noise);
/// let mut again = [0.0_f32; 40];
/// key.fill_normal(0, &mut again);
/// assert_eq!(noise[..40], again);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// The seed, which is the key of the generator.
    pub seed: u64,
    /// The layer, or the use of the noise.
    pub stream: u32,
    /// The training step.
    pub step: u32,
    /// The function from addresses to random words.
    pub generator: Generator,
}

/// The stream from which derived seeds come; no tensor uses it.
const DERIVATION: u32 = u32::MAX;
/// Elements per group of a flat array: sixteen lanes of four words.
const GROUP: usize = 4 * LANES;
/// Elements per parallel task of a flat fill.
const CHUNK: usize = 256 * GROUP;

impl NoiseKey {
    /// Creates the key of `(seed, stream, step)` for the default generator.
    #[must_use]
    pub const fn new(seed: u64, stream: u32, step: u32) -> Self {
        Self { seed, stream, step, generator: Generator::Philox10 }
    }

    /// Returns the same address for another generator.
    ///
    /// ```
    /// use vdn_tensor::noise::{Generator, NoiseKey};
    /// let key = NoiseKey::new(7, 0, 0).with_generator(Generator::Ars7);
    /// let mut noise = [0.0_f32; 100];
    /// key.fill_normal(0, &mut noise);
    /// assert_eq!(noise[20], key.normal_at::<f32>(16, 0, 1, 4));
    /// ```
    #[must_use]
    pub const fn with_generator(self, generator: Generator) -> Self {
        Self { generator, ..self }
    }

    /// Returns a key with the same seed and step and another stream.
    #[must_use]
    pub const fn with_stream(self, stream: u32) -> Self {
        Self { stream, ..self }
    }

    /// Returns a key whose seed is derived from this whole key and `index`, for addresses beyond
    /// `(seed, stream, step)`.
    #[must_use]
    pub fn fold_in(self, index: u64) -> Self {
        // The index takes the place of the position within the tensor, in a reserved stream. This
        // key's own stream is mixed in by a second block, so that stream, step and index all count.
        let [low, high, _, _] = self.block(index as u32, (index >> 32) as u32);
        let mixed = Self {
            seed: u64::from(low) | u64::from(high) << 32,
            stream: DERIVATION,
            step: self.stream,
            ..self
        };
        let [low, high, _, _] = mixed.block(0, DERIVATION);
        Self { seed: u64::from(low) | u64::from(high) << 32, ..self }
    }

    /// Returns the four words of block `position` of `sample`.
    #[must_use]
    pub fn block(self, position: u32, sample: u32) -> [u32; 4] {
        let counter = [position, sample, self.step, self.stream];
        let [low, high] = self.key_words();
        match self.generator {
            Generator::Philox10 => philox4x32(counter, [low, high]),
            Generator::Ars7 => ars4x32(counter, [low, high, 0, 0]),
        }
    }

    /// Returns the generator of this key, for many tiles.
    #[must_use]
    pub fn rounds(self) -> Rounds {
        let [low, high] = self.key_words();
        match self.generator {
            Generator::Philox10 => Rounds::Philox(Philox::new([low, high], self.step, self.stream)),
            Generator::Ars7 => Rounds::Ars(Ars::new([low, high, 0, 0], self.step, self.stream)),
        }
    }

    /// Returns the standard normal at (`sample`, `row`, `column`) of an array with `columns`
    /// columns: the number that the fused kernels use there.
    ///
    /// # Panics
    /// Panics if the position lies beyond the 2^32 positions of a tensor.
    #[must_use]
    pub fn normal_at<T: Element>(
        self,
        columns: usize,
        sample: u32,
        row: usize,
        column: usize,
    ) -> T {
        let first = tile(columns, row, column);
        let (row, column) = (row % 4, column % LANES);
        let word = |row| match self.generator {
            Generator::Philox10 => self.block(first + column as u32, sample)[row],
            Generator::Ars7 => {
                self.block(first + (4 * row + column / 4) as u32, sample)[column % 4]
            }
        };
        let words = [word(row / 2 * 2), word(row / 2 * 2 + 1)];
        let z = dispatch!(for T, simd => {
            let [normals] = T::normal_pairs([[simd.splat_u32(words[0]), simd.splat_u32(words[1])]], simd);
            let mut one = [T::ZERO; 1];
            store_partial(normals[row % 2], &mut one);
            one
        });
        z[0]
    }

    /// Fills a flat array with standard normals.
    pub fn fill_normal<T: Element>(self, sample: u32, out: &mut [T]) {
        T::fill_normal(self, sample, out);
    }

    /// The body of [`NoiseKey::fill_normal`].
    pub(crate) fn fill_normal_body<T: Element>(self, sample: u32, out: &mut [T]) {
        check_flat_noise("fill_normal", out.len());
        let rounds = self.rounds();
        for_each_chunk(out, CHUNK, |chunk, out| {
            dispatch!(for T, simd => fill(out, chunk * (CHUNK / GROUP), #[inline(always)] |first| {
                rounds.normals::<_, T>(simd, first, sample)
            }));
        });
    }

    /// Fills a flat array with uniform numbers in (0, 1]: 32 random bits each, rounded to `T`.
    pub fn fill_uniform<T: Element>(self, sample: u32, out: &mut [T]) {
        T::fill_uniform(self, sample, out);
    }

    /// The body of [`NoiseKey::fill_uniform`].
    pub(crate) fn fill_uniform_body<T: Element>(self, sample: u32, out: &mut [T]) {
        check_flat_noise("fill_uniform", out.len());
        let rounds = self.rounds();
        for_each_chunk(out, CHUNK, |chunk, out| {
            dispatch!(for T, simd => fill(out, chunk * (CHUNK / GROUP), #[inline(always)] |first| {
                let [a, b, c, d] = rounds.words(simd, first, sample);
                [T::uniform(a, simd), T::uniform(b, simd), T::uniform(c, simd), T::uniform(d, simd)]
            }));
        });
    }

    #[inline(always)]
    fn key_words(self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }
}

/// Returns the first position of the tile to which (`row`, `column`) of an array with `columns`
/// columns belongs. Four rows of sixteen columns share sixteen positions; columns are padded to
/// whole tiles.
#[must_use]
pub(crate) fn tile(columns: usize, row: usize, column: usize) -> u32 {
    let first_of_row =
        columns.checked_next_multiple_of(LANES).and_then(|columns| columns.checked_mul(row / 4));
    let position = first_of_row.and_then(|first| first.checked_add(column / LANES * LANES));
    position.and_then(|position| u32::try_from(position).ok()).unwrap_or_else(|| {
        panic!("normal_at: row {row} and column {column} of {columns} lie beyond the addresses")
    })
}

/// Calls `group` for the first position of each run of 64 elements, and stores its four rows of
/// sixteen.
#[inline(always)]
fn fill<L: Lanes<Scalar = T>, T: Element>(
    out: &mut [T],
    first_group: usize,
    group: impl Fn(u32) -> [L; 4],
) {
    // Whole groups are separate from the last one; otherwise the compiler moves the transform
    // between the checks of its parts.
    let (whole, rest) = out.as_chunks_mut::<GROUP>();
    let mut first = (first_group * LANES) as u32;
    for out in whole {
        let x = group(first);
        for i in 0..4 {
            store_partial(x[i], &mut out[i * LANES..(i + 1) * LANES]);
        }
        first = first.wrapping_add(LANES as u32);
    }
    if !rest.is_empty() {
        let x = group(first);
        for (out, x) in rest.chunks_mut(LANES).zip(x) {
            store_partial(x, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATORS: [Generator; 2] = [Generator::Philox10, Generator::Ars7];

    #[test]
    fn a_flat_fill_is_rows_of_sixteen() {
        for generator in GENERATORS {
            let key = NoiseKey::new(3, 5, 7).with_generator(generator);
            let mut noise = [0.0_f32; 200];
            key.fill_normal(2, &mut noise);
            for (e, &x) in noise.iter().enumerate() {
                let want = key.normal_at::<f32>(LANES, 2, e / LANES, e % LANES);
                assert_eq!(x, want, "{generator:?} element {e}");
            }
        }
    }

    /// With ARS, a flat array has the words in the order of the blocks.
    #[test]
    fn uniforms_are_the_words_in_their_order() {
        let uniform = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
        let mut noise = [0.0_f64; 200];
        let key = NoiseKey::new(3, 5, 7).with_generator(Generator::Ars7);
        key.fill_uniform(2, &mut noise);
        for (e, x) in noise.into_iter().enumerate() {
            let want = uniform(key.block(e as u32 / 4, 2)[e % 4]);
            assert_eq!(x, want, "element {e}");
        }
        let philox = NoiseKey { generator: Generator::Philox10, ..key };
        philox.fill_uniform(2, &mut noise);
        for (e, x) in noise.into_iter().enumerate() {
            let position = e / GROUP * LANES + e % LANES;
            assert_eq!(x, uniform(philox.block(position as u32, 2)[e / LANES % 4]), "element {e}");
        }
    }

    #[test]
    fn every_part_of_the_address_counts() {
        for generator in GENERATORS {
            every_part_counts(NoiseKey::new(1, 2, 3).with_generator(generator));
        }
    }

    fn every_part_counts(base: NoiseKey) {
        let other = if base.generator == GENERATORS[0] { GENERATORS[1] } else { GENERATORS[0] };
        let variants = [
            NoiseKey { seed: 2, ..base },
            NoiseKey { seed: 1 | 1 << 32, ..base },
            NoiseKey { stream: 3, ..base },
            NoiseKey { step: 4, ..base },
            base.fold_in(0),
            base.fold_in(1),
            base.fold_in(1 << 32),
            base.with_stream(9).fold_in(0),
            base.with_generator(other),
            base.with_generator(other).fold_in(0),
        ];
        let first = |key: NoiseKey| key.normal_at::<f64>(100, 0, 0, 0).to_bits();
        let mut all: Vec<_> = variants.iter().map(|&k| first(k)).chain([first(base)]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), variants.len() + 1);
        assert_ne!(base.normal_at::<f64>(100, 0, 0, 0), base.normal_at::<f64>(100, 1, 0, 0));
    }

    #[test]
    fn f64_noise_is_the_same_noise_more_precisely() {
        for generator in GENERATORS {
            let key = NoiseKey::new(11, 0, 0).with_generator(generator);
            let (mut single, mut double) = ([0.0_f32; 4096], [0.0_f64; 4096]);
            key.fill_normal(0, &mut single);
            key.fill_normal(0, &mut double);
            for (e, (&s, &d)) in single.iter().zip(&double).enumerate() {
                // The radius rounds its uniform to 24 bits; near u = 1 this moves the radius by up
                // to sqrt(2^-24).
                assert!((f64::from(s) - d).abs() < 3e-4, "{generator:?} element {e}: {s} {d}");
            }
        }
    }
}
