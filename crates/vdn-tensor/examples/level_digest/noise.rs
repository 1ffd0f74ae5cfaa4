//! The generator, its two distributions, and dropout.

use crate::{Digest, numbers, zeros};
use vdn_tensor::kernels::dropout;
use vdn_tensor::noise::{Generator, NoiseKey, Rounds};
use vdn_tensor::simd::{LANES, Simd, U32Lanes};
use vdn_tensor::{Element, dispatch};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    let (plain, other) = (NoiseKey::new(7, 0, 0), NoiseKey::new(u64::MAX - 5, 3, 1 << 31));
    let ars = [plain, other].map(|key| key.with_generator(Generator::Ars7));
    for key in [plain, other.fold_in(9), ars[0], ars[1].fold_in(9)] {
        let name = match key.generator {
            Generator::Philox10 => "noise",
            Generator::Ars7 => "noise of ARS",
        };
        digest.case(format!("{name} {} {} {}", key.seed, key.stream, key.step), || {
            let (mut normal, mut uniform, x) =
                (zeros(40_001), zeros(40_001), numbers::<T>(6, 40_001));
            key.fill_normal(3, &mut normal);
            key.fill_uniform(4, &mut uniform);
            let mut kept = zeros(x.len());
            dropout(&x, 0.3, key, &mut kept);
            let words = words(&key.rounds()).into_iter().map(T::from_f64).collect();
            vec![("words", words), ("normal", normal), ("uniform", uniform), ("dropout", kept)]
        });
    }
}

/// The high and the low halves of the words that the level in use gives, which every level gives,
/// with and without fused multiply-add.
fn words(rounds: &Rounds) -> Vec<f64> {
    let mut words = [[0; LANES]; 4];
    let mut halves = Vec::new();
    for first in (0..40_000).step_by(LANES) {
        dispatch!(simd => tile(simd, rounds, first, &mut words));
        halves
            .extend(words.as_flattened().iter().flat_map(|w| [w >> 16, w & 0xffff].map(f64::from)));
    }
    halves
}

#[inline(always)]
fn tile<S: Simd>(simd: S, rounds: &Rounds, first: u32, words: &mut [[u32; LANES]; 4]) {
    for (to, row) in words.iter_mut().zip(rounds.words(simd, first, 3)) {
        row.store(to);
    }
}
