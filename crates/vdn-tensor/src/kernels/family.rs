//! Samples and divergences of a layer of units of any [`Family`], and their gradients. This is the
//! counterpart of the fused Gaussian kernel in [`unit`](super::unit), without statistics. No noise
//! is stored: the backward pass regenerates it.
//!
//! For element `i` and sample `s`, the noise is the noise that
//! [`sample_into`](crate::families::sample_into) gives element `i` of a flat array for sample `s`.
//! Results therefore depend neither on threads nor on lanes. A divergence without a closed form is
//! the mean of the family's estimates over the samples, from the draws of the samples themselves.

use crate::dispatch;
use crate::element::{Element, load_partial, store_partial};
use crate::extent::{Extent, check_flat_noise};
use crate::families::{Family, GROUP, noise};
use crate::noise::{NoiseKey, Rounds};
use crate::parallel::for_each;
use crate::real::Real;
use crate::simd::{LANES, Simd};

/// The number of elements per parallel task: whole groups of noise.
const CHUNK: usize = 64 * GROUP;

/// A layer of units: the parameters of every element, and the number of samples of each.
#[derive(Clone, Copy, Debug)]
pub struct FamilyUnits<'a, T> {
    /// The location of each element.
    pub location: &'a [T],
    /// The logarithm of the scale of each element.
    pub log_scale: &'a [T],
    /// The number of samples of each element, at least 1 and below 2^31.
    pub samples: usize,
    /// The noise.
    pub key: NoiseKey,
}

/// The incoming gradients: of the samples `[samples, elements]` and of the divergences
/// `[elements]`.
#[derive(Clone, Copy, Debug)]
pub struct FamilyGradients<'a, T> {
    /// The gradient of the samples.
    pub d_z: Option<&'a [T]>,
    /// The gradient of the divergences.
    pub d_kl: Option<&'a [T]>,
}

/// Computes the samples `z` `[samples, elements]` and the divergences from the standard member,
/// `kl` `[elements]`, in nats.
///
/// # Panics
/// Panics if the slices do not match each other, or there are no samples.
pub fn family_forward<F: Family, T: Element>(
    family: &F,
    units: &FamilyUnits<'_, T>,
    z: &mut [T],
    kl: &mut [T],
) {
    let [all, layer] = check::<F, T>(units);
    let len = units.location.len();
    let rounds = units.key.rounds();
    let (z, kl) = (all.share("z", z), layer.share("kl", kl));
    for_each(len.div_ceil(CHUNK), |chunk| {
        let start = chunk * CHUNK;
        let end = len.min(start + CHUNK);
        // SAFETY: the ranges of different chunks do not overlap.
        let own_kl = unsafe { kl.part(start..end) };
        own_kl.fill(T::ZERO);
        for sample in 0..units.samples {
            // SAFETY: ranges of different chunks or samples do not overlap, and each is dropped
            // before the next.
            let own = unsafe { z.part(sample * len + start..sample * len + end) };
            dispatch!(for T, simd => forward_chunk(simd, family, units, &rounds, [start, sample], own, own_kl));
        }
    });
}

#[inline(always)]
fn forward_chunk<S: Simd, F: Family, T: Element>(
    simd: S,
    family: &F,
    units: &FamilyUnits<'_, T>,
    rounds: &Rounds,
    [start, sample]: [usize; 2],
    z: &mut [T],
    kl: &mut [T],
) {
    let share = T::splat(simd, T::from_f64(1.0 / units.samples as f64));
    for (index, (z, kl)) in z.chunks_mut(GROUP).zip(kl.chunks_mut(GROUP)).enumerate() {
        let group = start / GROUP + index;
        let first = (group * LANES) as u32;
        let drawn = noise::<S, T>(simd, F::NOISE, rounds, first, sample as u32);
        let rows = z.chunks_mut(LANES).zip(kl.chunks_mut(LANES)).enumerate();
        for ((row, (z, kl)), noise) in rows.zip(&drawn) {
            let at = group * GROUP + row * LANES;
            let own = [units.location, units.log_scale];
            let mut parameters = [T::splat(simd, T::ZERO); 2];
            for (to, from) in parameters.iter_mut().zip(own) {
                *to = load_partial(simd, &from[at..at + z.len()], T::ZERO);
            }
            store_partial(family.sample(parameters, *noise), z);
            if F::KL_IS_EXACT {
                if sample == 0 {
                    store_partial(family.kl(parameters, *noise), kl);
                }
            } else {
                let before = load_partial(simd, kl, T::ZERO);
                store_partial(family.kl(parameters, *noise).mul_add(share, before), kl);
            }
        }
    }
}

/// Computes the gradients of location and log scale, which are overwritten.
///
/// # Panics
/// Panics if the slices do not match each other, or there are no samples.
pub fn family_backward<F: Family, T: Element>(
    family: &F,
    units: &FamilyUnits<'_, T>,
    gradients: FamilyGradients<'_, T>,
    d_location: &mut [T],
    d_log_scale: &mut [T],
) {
    let [all, layer] = check::<F, T>(units);
    let len = units.location.len();
    all.check_any("the gradient of z", [gradients.d_z]);
    layer.check_any("the gradient of kl", [gradients.d_kl]);
    let rounds = units.key.rounds();
    let both = [
        layer.share("the gradient of the location", d_location),
        layer.share("the gradient of the log scale", d_log_scale),
    ];
    for_each(len.div_ceil(CHUNK), |chunk| {
        let start = chunk * CHUNK;
        let end = len.min(start + CHUNK);
        // SAFETY: the ranges of different chunks do not overlap, and the two are different slices.
        let [location, scale] = [0, 1].map(|i| unsafe { both[i].part(start..end) });
        location.fill(T::ZERO);
        scale.fill(T::ZERO);
        for sample in 0..units.samples {
            let at = [start, sample];
            dispatch!(for T, simd => backward_chunk(simd, family, units, gradients, &rounds, at, location, scale));
        }
    });
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel's slices, its place and its noise")]
fn backward_chunk<S: Simd, F: Family, T: Element>(
    simd: S,
    family: &F,
    units: &FamilyUnits<'_, T>,
    gradients: FamilyGradients<'_, T>,
    rounds: &Rounds,
    [start, sample]: [usize; 2],
    d_location: &mut [T],
    d_log_scale: &mut [T],
) {
    let len = units.location.len();
    let share = T::splat(simd, T::from_f64(1.0 / units.samples as f64));
    let groups = d_location.chunks_mut(GROUP).zip(d_log_scale.chunks_mut(GROUP));
    for (index, (d_location, d_log_scale)) in groups.enumerate() {
        let group = start / GROUP + index;
        let first = (group * LANES) as u32;
        let drawn = noise::<S, T>(simd, F::NOISE, rounds, first, sample as u32);
        let rows = d_location.chunks_mut(LANES).zip(d_log_scale.chunks_mut(LANES)).enumerate();
        for ((row, (d_location, d_log_scale)), noise) in rows.zip(&drawn) {
            let at = group * GROUP + row * LANES;
            let width = d_location.len();
            let own = [units.location, units.log_scale];
            let mut parameters = [T::splat(simd, T::ZERO); 2];
            for (to, from) in parameters.iter_mut().zip(own) {
                *to = load_partial(simd, &from[at..at + width], T::ZERO);
            }
            let mut sum =
                [load_partial(simd, d_location, T::ZERO), load_partial(simd, d_log_scale, T::ZERO)];
            if let Some(d_z) = gradients.d_z {
                let d = load_partial(simd, &d_z[sample * len + at..][..width], T::ZERO);
                let slopes = family.sample_gradient(parameters, *noise);
                for (sum, slope) in sum.iter_mut().zip(slopes) {
                    *sum = d.mul_add(slope, *sum);
                }
            }
            if let Some(d_kl) = gradients.d_kl
                && (sample == 0 || !F::KL_IS_EXACT)
            {
                let mut d = load_partial(simd, &d_kl[at..at + width], T::ZERO);
                if !F::KL_IS_EXACT {
                    d = d * share;
                }
                let slopes = family.kl_gradient(parameters, *noise);
                for (sum, slope) in sum.iter_mut().zip(slopes) {
                    *sum = d.mul_add(slope, *sum);
                }
            }
            store_partial(sum[0], d_location);
            store_partial(sum[1], d_log_scale);
        }
    }
}

/// Returns the extents of the samples and of the layer.
fn check<F: Family, T: Element>(units: &FamilyUnits<'_, T>) -> [Extent<2>; 2] {
    let len = units.location.len();
    let layer = Extent::new(F::NAME, [1, len]);
    layer.check("log_scale", units.log_scale);
    assert!((1..1 << 31).contains(&units.samples), "{}: {} samples", F::NAME, units.samples);
    check_flat_noise(F::NAME, len);
    [Extent::new(F::NAME, [units.samples, len]), layer]
}
