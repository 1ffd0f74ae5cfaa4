//! Dropout with addressed noise: the mask is a function of its address, so the backward pass
//! regenerates it.

use super::tree::CHUNK;
use crate::extent::{Extent, check_flat_noise};
use crate::noise::{NoiseKey, Rounds};
use crate::parallel::for_each_chunk;
use crate::simd::{LANES, Simd};
use crate::{Element, Real, dispatch, load_partial, store_partial};

/// One evaluation of the generator gives four words to sixteen lanes.
const GROUP: usize = 4 * LANES;

/// Computes `out[e] = x[e] / (1 - p)` with probability `1 - p`, and 0 otherwise (inverted dropout,
/// so the mean stays). Element `e` is kept if the uniform number that [`NoiseKey::fill_uniform`]
/// writes at `e` for sample 0 is above `p`.
///
/// The operation is linear and diagonal, so it is its own adjoint: the backward pass calls it on
/// the gradient with the same `p` and `key`. A dropped NaN or infinity becomes NaN, not 0.
///
/// ```
/// use vdn_tensor::{kernels::dropout, noise::NoiseKey};
/// let mut out = [0.0_f32; 8];
/// dropout(&[1.0; 8], 0.5, NoiseKey::new(1, 2, 3), &mut out);
/// assert!(out.iter().all(|&v| v == 0.0 || v == 2.0));
/// ```
///
/// # Panics
/// Panics if the slices differ in length, or `p` is not in [0, 1).
pub fn dropout<T: Element>(x: &[T], p: f64, key: NoiseKey, out: &mut [T]) {
    T::dropout(x, p, key, out)
}

/// The body of [`dropout`].
pub(crate) fn dropout_body<T: Element>(x: &[T], p: f64, key: NoiseKey, out: &mut [T]) {
    Extent::new("dropout", [x.len()]).check("the output", out);
    check_flat_noise("dropout", x.len());
    assert!((0.0..1.0).contains(&p), "dropout: the probability {p} is not in [0, 1)");
    if p == 0.0 {
        return super::map::copy(x, out);
    }
    let rounds = key.rounds();
    for_each_chunk(out, CHUNK, |chunk, out| {
        let x = &x[chunk * CHUNK..][..out.len()];
        dispatch!(for T, simd => dropout_chunk(simd, x, p, &rounds, chunk * (CHUNK / GROUP), out));
    });
}

#[inline(always)]
fn dropout_chunk<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    p: f64,
    rounds: &Rounds,
    first_group: usize,
    out: &mut [T],
) {
    let p_dropped = T::splat(simd, T::from_f64(p));
    let scale = T::splat(simd, T::from_f64(1.0 / (1.0 - p)));
    let zero = T::splat(simd, T::ZERO);
    for (group, (x, out)) in x.chunks(GROUP).zip(out.chunks_mut(GROUP)).enumerate() {
        let words = rounds.words(simd, ((first_group + group) * LANES) as u32, 0);
        for ((x, out), word) in x.chunks(LANES).zip(out.chunks_mut(LANES)).zip(&words) {
            let keep = T::uniform(*word, simd).gt(p_dropped);
            let factor = T::Lanes::<S>::select(keep, scale, zero);
            store_partial(load_partial(simd, x, T::ZERO) * factor, out);
        }
    }
}
