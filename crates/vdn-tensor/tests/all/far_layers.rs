//! Layers that do not stay in a cache, and are prefetched, give the same bits as smaller layers.
//! The results of a column do not depend on its neighbours, so the first columns of a large layer
//! are compared with the same columns alone.

use vdn_tensor::kernels::unit::{
    ConditionalOutputs, ConditionalUnits, LogVar, UnitNoise, UnitOutputs, Units,
    conditional_forward, unit_forward,
};
use vdn_tensor::noise::NoiseKey;

/// More than 2^19 numbers, from which memory is prefetched, with a last lane group that is not
/// whole.
const ROWS: usize = 522;
const COLUMNS: usize = 1030;
/// Fewer.
const FIRST: usize = 500;
const _: () = assert!(ROWS * COLUMNS >= 1 << 19 && ROWS * FIRST < 1 << 19);

fn normals(stream: u32, len: usize) -> Vec<f32> {
    let mut x = vec![0.0; len];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

/// The first columns of rows.
fn first(x: &[f32]) -> Vec<f32> {
    x.chunks(COLUMNS).flat_map(|row| row[..FIRST].to_vec()).collect()
}

/// Samples, divergences, and the five statistics of each column.
fn standard(columns: usize, samples: usize, [mu, logvar, noise]: [&[f32]; 3]) -> Vec<Vec<f32>> {
    let logvar = LogVar::PerElement(logvar);
    let noise = UnitNoise::Given(noise);
    let units = Units { rows: ROWS, columns, samples, mu, logvar, noise, antithetic: false };
    let (mut z, mut kl) = (vec![0.0; samples * mu.len()], vec![0.0; mu.len()]);
    let [mut m1, mut m2, mut c2, mut d0, mut lv] = [(); 5].map(|()| vec![0.0; columns]);
    let outputs = UnitOutputs {
        z: &mut z,
        m1: &mut m1,
        m2: &mut m2,
        c2: &mut c2,
        d0: &mut d0,
        lv: &mut lv,
        kl: Some(&mut kl),
    };
    unit_forward(&units, outputs);
    vec![z, kl, m1, m2, c2, d0, lv]
}

/// Draws, divergences, and their mean for each column.
fn conditional(
    columns: usize,
    samples: usize,
    [m, log_r, noise, previous]: [&[f32]; 4],
    [phi, logvar]: [&[f32]; 2],
) -> Vec<Vec<f32>> {
    let noise = UnitNoise::Given(noise);
    let units =
        ConditionalUnits { rows: ROWS, columns, samples, m, log_r, previous, phi, logvar, noise };
    let [mut z, mut kl] = [(); 2].map(|()| vec![0.0; samples * m.len()]);
    let mut mean_kl = vec![0.0; columns];
    let outputs = ConditionalOutputs { z: &mut z, kl: Some(&mut kl), mean_kl: &mut mean_kl };
    conditional_forward(&units, outputs);
    vec![z, kl, mean_kl]
}

fn compare(name: &str, far: &[Vec<f32>], near: &[Vec<f32>]) {
    for (part, (far, near)) in far.iter().zip(near).enumerate() {
        let far = first(far);
        let differs = far.iter().zip(near).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!((far.len(), differs), (near.len(), None), "{name}, part {part}");
        assert!(near.iter().any(|&x| x != 0.0), "{name}, part {part} was written");
    }
}

#[test]
fn a_far_layer_gives_the_bits_of_its_columns_alone() {
    for samples in [1, 3] {
        let mu = normals(0, ROWS * COLUMNS);
        let logvar = normals(1, ROWS * COLUMNS);
        let noise = normals(2, samples * ROWS * COLUMNS);
        let far = standard(COLUMNS, samples, [&mu, &logvar, &noise]);
        let near = standard(FIRST, samples, [&first(&mu), &first(&logvar), &first(&noise)]);
        compare(&format!("standard prior, {samples} samples"), &far, &near);
        let previous = normals(3, samples * ROWS * COLUMNS);
        let (phi, prior) = (normals(4, COLUMNS), normals(5, COLUMNS));
        let far = conditional(COLUMNS, samples, [&mu, &logvar, &noise, &previous], [&phi, &prior]);
        let near = conditional(
            FIRST,
            samples,
            [&first(&mu), &first(&logvar), &first(&noise), &first(&previous)],
            [&phi[..FIRST], &prior[..FIRST]],
        );
        compare(&format!("conditional prior, {samples} samples"), &far, &near);
    }
}
