//! Draws from any family with addressed noise, on SIMD lanes.

use super::family::Family;
use crate::dispatch;
use crate::element::{Element, load_partial, store_partial};
use crate::extent::check_flat_noise;
use crate::noise::{NoiseKey, Rounds};
use crate::parallel::for_each_chunk;
use crate::simd::{LANES, Lanes, Simd, U32Lanes};

/// The noise from which a draw is made. The formulas of a [`Family`] get two numbers of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKind {
    /// One standard normal, given twice. It is the same noise at the same address as in the fused
    /// Gaussian kernel.
    Normal,
    /// Two independent standard normals.
    NormalPair,
    /// A uniform number in (0, 1], and another that is below 1/2 with probability 1/2, both from
    /// one random word.
    SignedUniform,
}

/// The number of elements that share a position of the noise: sixteen lanes of four words.
pub(crate) const GROUP: usize = 4 * LANES;
/// The number of elements per parallel task.
const CHUNK: usize = 256 * GROUP;

/// Returns the noise of four rows of sixteen elements. Pairs take two blocks: those of the samples
/// `2 s` and `2 s + 1`.
#[inline(always)]
pub(crate) fn noise<S: Simd, T: Element>(
    simd: S,
    kind: NoiseKind,
    rounds: &Rounds,
    first: u32,
    sample: u32,
) -> [[T::Lanes<S>; 2]; 4] {
    match kind {
        NoiseKind::Normal => {
            let [a, b, c, d] = rounds.normals::<S, T>(simd, first, sample);
            [[a, a], [b, b], [c, c], [d, d]]
        }
        NoiseKind::NormalPair => {
            let [a, b, c, d] = rounds.normals::<S, T>(simd, first, 2 * sample);
            let [e, f, g, h] = rounds.normals::<S, T>(simd, first, 2 * sample + 1);
            [[a, b], [c, d], [e, f], [g, h]]
        }
        NoiseKind::SignedUniform => {
            let [a, b, c, d] = rounds.words(simd, first, sample);
            [
                signed::<S, T>(simd, a),
                signed::<S, T>(simd, b),
                signed::<S, T>(simd, c),
                signed::<S, T>(simd, d),
            ]
        }
    }
}

/// Returns the word rotated by one bit as a uniform number, and the word itself, whose first bit is
/// the side. The first number thus has all 32 bits, and is uniform on the same grid on either side.
#[inline(always)]
fn signed<S: Simd, T: Element>(simd: S, word: S::U32) -> [T::Lanes<S>; 2] {
    let rotated = word.shl::<1>() | word.shr::<31>();
    [T::uniform(rotated, simd), T::uniform(word, simd)]
}

/// Draws one number for each element. Each of the parameters `[location, log scale]` is given
/// element by element, or as one number. Addresses are flat, as in [`NoiseKey::fill_normal`]: the
/// first elements do not depend on how many follow, and nothing depends on the number of threads.
///
/// ```
/// use vdn_tensor::families::{Laplace, sample_into};
/// use vdn_tensor::noise::NoiseKey;
/// let (mut few, mut many) = ([0.0_f32; 3], [0.0_f32; 100]);
/// sample_into(&Laplace, [&[0.0], &[0.0]], NoiseKey::new(1, 0, 0), 0, &mut few);
/// sample_into(&Laplace, [&[0.0], &[0.0]], NoiseKey::new(1, 0, 0), 0, &mut many);
/// assert_eq!(few, many[..3]);
/// ```
///
/// # Panics
/// Panics if a parameter has neither one element nor as many as `out`, or if `sample` is 2^31 or
/// more for a family that draws pairs.
pub fn sample_into<F: Family, T: Element>(
    family: &F,
    parameters: [&[T]; 2],
    key: NoiseKey,
    sample: u32,
    out: &mut [T],
) {
    let (lens, len) = (parameters.map(<[T]>::len), out.len());
    assert!(lens.iter().all(|&l| l == len || l == 1), "{}: {lens:?} parameters, {len}", F::NAME);
    check_flat_noise(F::NAME, len);
    assert!(F::NOISE != NoiseKind::NormalPair || sample < 1 << 31, "{}: sample {sample}", F::NAME);
    let rounds = key.rounds();
    for_each_chunk(out, CHUNK, |chunk, out| {
        let start = chunk * CHUNK;
        let mut own = parameters;
        for part in &mut own {
            if part.len() == len {
                *part = &part[start..start + out.len()];
            }
        }
        dispatch!(for T, simd => fill(simd, family, own, [chunk * (CHUNK / GROUP), len], &rounds, sample, out));
    });
}

#[inline(always)]
fn fill<S: Simd, F: Family, T: Element>(
    simd: S,
    family: &F,
    parameters: [&[T]; 2],
    [first_group, len]: [usize; 2],
    rounds: &Rounds,
    sample: u32,
    out: &mut [T],
) {
    for (index, group) in out.chunks_mut(GROUP).enumerate() {
        let first = ((first_group + index) * LANES) as u32;
        let noise = noise::<S, T>(simd, F::NOISE, rounds, first, sample);
        for ((row, out), noise) in group.chunks_mut(LANES).enumerate().zip(&noise) {
            let at = index * GROUP + row * LANES;
            let mut own = [T::splat(simd, T::ZERO); 2];
            for (own, given) in own.iter_mut().zip(&parameters) {
                *own = match given.len() {
                    1 if len > 1 => T::splat(simd, given[0]),
                    _ => load_partial(simd, &given[at..at + out.len()], T::ZERO),
                };
            }
            store_partial(family.sample(own, *noise), out);
        }
    }
}

/// A divergence that is known or estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlEstimate {
    /// The divergence in nats, or its estimate; never negative.
    pub mean: f64,
    /// The standard error of the estimate; 0 for a closed form.
    pub standard_error: f64,
    /// The number of draws; 0 for a closed form.
    pub draws: usize,
}

/// Returns the divergence of the member with these parameters from the standard member, in double
/// precision: the closed form if there is one, otherwise the mean of `draws` addressed draws, with
/// its standard error.
///
/// ```
/// use vdn_tensor::families::{Logistic, Normal, kl_estimate};
/// use vdn_tensor::noise::NoiseKey;
/// let key = NoiseKey::new(3, 0, 0);
/// assert_eq!(kl_estimate(&Normal, [1.0, 0.0], key, 100).mean, 0.5);
/// let kl = kl_estimate(&Logistic, [1.0, 0.0], key, 10_000);
/// let want = 1.0 / 0.5_f64.tanh() - 2.0; // equal scales: m coth(m/2) - 2
/// assert!(kl.standard_error < 2e-3 && (kl.mean - want).abs() < 4.0 * kl.standard_error, "{kl:?}");
/// ```
///
/// # Panics
/// Panics if an estimate needs draws and there are fewer than two.
#[must_use]
pub fn kl_estimate<F: Family>(
    family: &F,
    parameters: [f64; 2],
    key: NoiseKey,
    draws: usize,
) -> KlEstimate {
    if F::KL_IS_EXACT {
        let mean = family.kl(parameters, [0.5; 2]);
        return KlEstimate { mean, standard_error: 0.0, draws: 0 };
    }
    assert!(draws >= 2, "{}: a standard error needs two draws, not {draws}", F::NAME);
    let (mut mean, mut squares) = (0.0, 0.0);
    for i in 0..draws {
        let kl = family.kl(parameters, noise_at(F::NOISE, key, i));
        let step = kl - mean;
        mean += step / (i + 1) as f64;
        squares += step * (kl - mean);
    }
    let standard_error = (squares / ((draws - 1) as f64 * draws as f64)).sqrt();
    KlEstimate { mean, standard_error, draws }
}

/// Returns the noise of element `index` of a flat array for sample 0: the noise that
/// [`sample_into`] uses there.
fn noise_at(kind: NoiseKind, key: NoiseKey, index: usize) -> [f64; 2] {
    let first = (index / GROUP * LANES) as u32;
    let (row, column) = (index / LANES % 4, index % LANES);
    let mut both = [0.0; 2];
    dispatch!(for f64, simd => {
        let all = noise::<_, f64>(simd, kind, &key.rounds(), first, 0);
        for (to, lanes) in both.iter_mut().zip(&all[row]) {
            let mut row = [0.0; LANES];
            lanes.store(&mut row);
            *to = row[column];
        }
    });
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Normal;
    use crate::noise::Generator;

    #[test]
    fn single_noise_is_that_of_arrays() {
        for generator in [Generator::Philox10, Generator::Ars7] {
            let key = NoiseKey::new(8, 1, 2).with_generator(generator);
            let mut all = [0.0_f64; 300];
            sample_into(&Normal, [&[0.0], &[0.0]], key, 0, &mut all);
            for (i, &want) in all.iter().enumerate() {
                let [got, _] = noise_at(NoiseKind::Normal, key, i);
                assert_eq!(got, want, "{generator:?} element {i}");
            }
        }
    }
}
