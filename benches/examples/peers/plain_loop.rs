//! The jobs as hand-written loops without a library, as a baseline.
//!
//! They use one thread, an ordinary generator with the ziggurat of `rand_distr`, matrices as
//! slices, and products in an order that the compiler vectorises. There is no tape: the gradients
//! are written out.

use crate::jobs::{
    BETA, FEATURES, LAYERS, LEAST_SIGMA, NORMAL_JOB, NORMALS, RATE, ROWS, SMALL, SMALL_BATCH,
    SMALL_JOB, forward,
};
use crate::tasks::Order;
use crate::timing::Jobs;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use std::hint::black_box;

/// Adds the jobs that have a plain loop.
pub(crate) fn add(jobs: &mut Jobs<'_>) {
    let mut generator = SmallRng::seed_from_u64(0);
    for shape in LAYERS {
        unit_forward(jobs, shape, SmallRng::seed_from_u64(1));
    }
    small_step(jobs, SmallRng::seed_from_u64(1));
    let mut normals = vec![0.0_f32; NORMALS];
    jobs.add(NORMAL_JOB, move || {
        black_box(&mut normals).fill_with(|| generator.sample(StandardNormal));
    });
}

fn uniform(len: usize, low: f32, high: f32, generator: &mut SmallRng) -> Vec<f32> {
    (0..len).map(|_| generator.random_range(low..high)).collect()
}

fn unit_forward(jobs: &mut Jobs<'_>, [rows, units]: [usize; 2], mut generator: SmallRng) {
    let mu = uniform(rows * units, -2.0, 2.0, &mut generator);
    let logvar = uniform(rows * units, -1.0, 0.0, &mut generator);
    let (mut z, mut kl) = (vec![0.0_f32; rows * units], vec![0.0_f32; units]);
    jobs.add(&forward([rows, units]), move || {
        kl.fill(0.0);
        for row in 0..rows {
            for unit in 0..units {
                let i = row * units + unit;
                let sigma = (0.5 * logvar[i]).exp();
                let noise: f32 = generator.sample(StandardNormal);
                z[i] = mu[i] + sigma * noise;
                kl[unit] += mu[i] * mu[i] + sigma * sigma - 1.0 - logvar[i];
            }
        }
        kl.iter_mut().for_each(|kl| *kl *= 0.5 / rows as f32);
        black_box((&mut z, &mut kl));
    });
}

/// A linear layer with its gradients and the moments of AdamW.
struct Layer {
    inputs: usize,
    outputs: usize,
    /// The weights `[inputs, outputs]`, then the bias.
    numbers: Vec<f32>,
    gradient: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, generator: &mut SmallRng) -> Self {
        let len = (inputs + 1) * outputs;
        let bound = 1.0 / (inputs as f32).sqrt();
        let numbers = uniform(len, -bound, bound, generator);
        let zeros = || vec![0.0; len];
        Self { inputs, outputs, numbers, gradient: zeros(), first: zeros(), second: zeros() }
    }

    /// Computes `y = x W + b`, row by row.
    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (weight, bias) = self.numbers.split_at(self.inputs * self.outputs);
        for (x, y) in x.chunks_exact(self.inputs).zip(y.chunks_exact_mut(self.outputs)) {
            y.copy_from_slice(bias);
            for (x, weight) in x.iter().zip(weight.chunks_exact(self.outputs)) {
                y.iter_mut().zip(weight).for_each(|(y, w)| *y += x * w);
            }
        }
    }

    /// Computes the gradients of the weights and the bias. If `dx` is given, adds the gradient of
    /// `x` to it.
    fn backward(&mut self, x: &[f32], dy: &[f32], mut dx: Option<&mut [f32]>) {
        let split = self.inputs * self.outputs;
        let (d_weight, d_bias) = self.gradient.split_at_mut(split);
        d_weight.fill(0.0);
        d_bias.fill(0.0);
        for (row, (x, dy)) in
            x.chunks_exact(self.inputs).zip(dy.chunks_exact(self.outputs)).enumerate()
        {
            d_bias.iter_mut().zip(dy).for_each(|(d, dy)| *d += dy);
            for (x, d) in x.iter().zip(d_weight.chunks_exact_mut(self.outputs)) {
                d.iter_mut().zip(dy).for_each(|(d, dy)| *d += x * dy);
            }
            if let Some(dx) = &mut dx {
                let weight = self.numbers[..split].chunks_exact(self.outputs);
                for (dx, weight) in dx[row * self.inputs..].iter_mut().zip(weight) {
                    *dx += weight.iter().zip(dy).map(|(w, dy)| w * dy).sum::<f32>();
                }
            }
        }
    }

    /// Takes a step of AdamW without weight decay; `step` counts from 1.
    fn update(&mut self, step: i32) {
        let scale = 1.0 / (1.0 - 0.9_f32.powi(step));
        let root_scale = 1.0 / (1.0 - 0.999_f32.powi(step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((x, g), (first, second)) in self.numbers.iter_mut().zip(&self.gradient).zip(moments) {
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.999 * *second + 0.001 * g * g;
            *x -= RATE as f32 * (*first * scale) / ((*second * root_scale).sqrt() + 1e-8);
        }
    }
}

/// Returns GELU and its slope.
fn gelu(x: f32) -> [f32; 2] {
    let below = 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
    let density = (-0.5 * x * x).exp() * 0.398_942_3;
    [x * below, below + x * density]
}

fn apply_gelu(x: &[f32], y: &mut [f32], slope: &mut [f32]) {
    for ((x, y), slope) in x.iter().zip(y).zip(slope) {
        [*y, *slope] = gelu(*x);
    }
}

fn small_step(jobs: &mut Jobs<'_>, mut generator: SmallRng) {
    let table = uniform(ROWS * FEATURES, -1.5, 1.5, &mut generator);
    let targets = uniform(ROWS, -1.5, 1.5, &mut generator);
    let mut layer = |inputs, outputs| Layer::new(inputs, outputs, &mut generator);
    let mut hidden = layer(FEATURES, SMALL);
    let (mut mean, mut log_sigma) = (layer(SMALL, SMALL), layer(SMALL, SMALL));
    let mut head = layer(SMALL, 2);
    let [mut raw, mut h, mut h_slope, mut mu, mut ls, mut sigma, mut noise] =
        [const { [0.0_f32; SMALL_BATCH * SMALL] }; 7];
    let [mut z, mut active, mut z_slope, mut d_active, mut d_mu, mut d_ls, mut d_h] =
        [const { [0.0_f32; SMALL_BATCH * SMALL] }; 7];
    let [mut out, mut d_out] = [[0.0_f32; SMALL_BATCH * 2]; 2];
    let (mut x, mut y) = ([0.0; SMALL_BATCH * FEATURES], [0.0; SMALL_BATCH]);
    let mut order = Order::new(ROWS, SMALL_BATCH, 0);
    let mut step = 0;
    let share = 1.0 / SMALL_BATCH as f32;
    jobs.add(SMALL_JOB, move || {
        for (i, row) in order.next_batch().iter().enumerate() {
            x[i * FEATURES..][..FEATURES].copy_from_slice(&table[row * FEATURES..][..FEATURES]);
            y[i] = targets[*row];
        }
        // Forward.
        hidden.forward(&x, &mut raw);
        apply_gelu(&raw, &mut h, &mut h_slope);
        mean.forward(&h, &mut mu);
        log_sigma.forward(&h, &mut ls);
        for i in 0..z.len() {
            sigma[i] = ls[i].exp();
            noise[i] = generator.sample(StandardNormal);
            z[i] = mu[i] + sigma[i] * noise[i];
        }
        apply_gelu(&z, &mut active, &mut z_slope);
        head.forward(&active, &mut out);
        // Backward pass of the mean over rows of `-ln p(y | z)` plus BETA times the KL.
        for (i, y) in y.iter().enumerate() {
            let [location, raw] = [out[2 * i], out[2 * i + 1]];
            let deviation = raw.exp().ln_1p() + LEAST_SIGMA as f32;
            let distance = (location - y) / deviation;
            d_out[2 * i] = share * distance / deviation;
            let slope = 1.0 / (1.0 + (-raw).exp());
            d_out[2 * i + 1] = share * (1.0 - distance * distance) / deviation * slope;
        }
        d_active.fill(0.0);
        head.backward(&active, &d_out, Some(&mut d_active));
        let price = BETA as f32 * share;
        for i in 0..z.len() {
            let d_z = d_active[i] * z_slope[i];
            d_mu[i] = d_z + price * mu[i];
            d_ls[i] = d_z * noise[i] * sigma[i] + price * (sigma[i] * sigma[i] - 1.0);
        }
        d_h.fill(0.0);
        mean.backward(&h, &d_mu, Some(&mut d_h));
        log_sigma.backward(&h, &d_ls, Some(&mut d_h));
        d_h.iter_mut().zip(&h_slope).for_each(|(d, slope)| *d *= slope);
        hidden.backward(&x, &d_h, None);
        step += 1;
        for layer in [&mut hidden, &mut mean, &mut log_sigma, &mut head] {
            layer.update(step);
        }
        black_box(&mut head.numbers);
    });
}
