//! Tests of layers on layers: sample identity, gradients, counts, initialisation, and forecasters built of them.

mod depth;
mod families;
mod forecasters;
mod moments;
mod samples;

use vdn_model::Parameters;
use vdn_tensor::noise::NoiseKey;

/// Normal numbers that look like nothing in particular.
fn normals(seed: u64, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(seed, 0, 0).fill_normal(0, &mut x);
    x
}

/// Moves every parameter, so that nothing is at zero by construction.
fn scatter(parameters: &mut Parameters<f64>, deviation: f64) {
    for index in 0..parameters.len() {
        let data = parameters.data_mut(index);
        let noise = normals(100 + index as u64, data.len());
        data.iter_mut().zip(noise).for_each(|(p, e)| *p += e * deviation);
    }
}
