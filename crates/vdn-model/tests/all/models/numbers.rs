//! Arbitrary numbers for tests.

use vdn_model::core::Parameters;
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The noise of a pass, unless a test says otherwise.
pub(crate) const KEY: NoiseKey = NoiseKey::new(11, 0, 3);

/// Arbitrary normal numbers.
pub(crate) fn normals(seed: u64, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(seed, 0, 0).fill_normal(0, &mut x);
    x
}

/// Moves every parameter by a normal of this deviation, so that no parameter is 0 by construction.
pub(crate) fn scatter<T: Element>(parameters: &mut Parameters<T>, deviation: f64) {
    for index in 0..parameters.len() {
        let data = parameters.data_mut(index);
        let mut noise = vec![T::ZERO; data.len()];
        NoiseKey::new(100 + index as u64, 0, 0).fill_normal(0, &mut noise);
        data.iter_mut().zip(noise).for_each(|(p, e)| *p += e * T::from_f64(deviation));
    }
}
