//! Units under an autoregressive prior compared with the kernel of the standard prior: the cost of
//! memory over time. Throughput is in units.
//!
//! Both compute all their gradients, from the gradients of the draws and of each unit's divergence:
//! `standard` those of means and log-variances; `autoregressive` those of messages (two), previous
//! latents, coefficients and scales. `elements` also computes the divergence of each element. The
//! relevant figure is the ratio to `standard` at the same level and number of threads.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::{for_each_setting, time, uniform};
use vdn_tensor::kernels::unit::{
    ClampGradient, ConditionalGradients, ConditionalOutputs, ConditionalUnits, LogVar,
    UnitGradients, UnitNoise, UnitOutputs, Units, conditional_backward, conditional_forward,
    unit_backward, unit_forward,
};
use vdn_tensor::noise::NoiseKey;

const ROWS: usize = 256;
const COLUMNS: usize = 1024;
const SIZE: usize = ROWS * COLUMNS;

/// The inputs, and room for the outputs.
struct Job {
    means: Vec<f32>,
    logvars: Vec<f32>,
    previous: Vec<f32>,
    phi: Vec<f32>,
    prior: Vec<f32>,
    d_z: Vec<f32>,
    half: Vec<f32>,
    z: Vec<f32>,
    kl: Vec<f32>,
    per_column: [Vec<f32>; 5],
    gradients: [Vec<f32>; 3],
}

impl Job {
    fn new() -> Self {
        let phi = uniform(3, COLUMNS, 0.3, 0.99);
        Self {
            means: uniform(0, SIZE, -2.0, 2.0),
            logvars: uniform(1, SIZE, -1.0, 0.0),
            previous: uniform(2, SIZE, -2.0, 2.0),
            prior: phi.iter().map(|phi| (1.0 - phi * phi).ln()).collect(),
            phi,
            d_z: uniform(4, SIZE, -1.0, 1.0),
            half: vec![0.5; SIZE],
            z: vec![0.0; SIZE],
            kl: vec![0.0; SIZE],
            per_column: [(); 5].map(|()| vec![0.0; COLUMNS]),
            gradients: [(); 3].map(|()| vec![0.0; SIZE]),
        }
    }

    fn standard(&mut self, step: u32, backward: bool) {
        let units = Units {
            rows: ROWS,
            columns: COLUMNS,
            samples: 1,
            mu: &self.means,
            logvar: LogVar::PerElement(&self.logvars),
            noise: UnitNoise::Addressed(NoiseKey::new(1, 0, step)),
            antithetic: false,
        };
        let [m1, m2, c2, d0, lv] = &mut self.per_column;
        unit_forward(&units, UnitOutputs { z: &mut self.z, m1, m2, c2, d0, lv, kl: None });
        if !backward {
            return;
        }
        let half = Some(&self.half[..COLUMNS]);
        let gradients = UnitGradients {
            z: &self.z,
            m1: &self.per_column[0],
            d_z: Some(&self.d_z),
            d_m1: None,
            d_m2: half,
            d_c2: None,
            d_d0: half,
            d_lv: None,
            d_kl: None,
            clamp: ClampGradient::Inward,
        };
        let [d_mu, d_logvar, _] = &mut self.gradients;
        unit_backward(&units, &gradients, Some(d_mu), Some(d_logvar));
    }

    fn autoregressive(&mut self, step: u32, backward: bool, elements: bool) {
        let units = ConditionalUnits {
            rows: ROWS,
            columns: COLUMNS,
            samples: 1,
            m: &self.means,
            log_r: &self.logvars,
            previous: &self.previous,
            phi: &self.phi,
            logvar: &self.prior,
            noise: UnitNoise::Addressed(NoiseKey::new(1, 0, step)),
        };
        let [mean_kl, d_phi, d_logvar, ..] = &mut self.per_column;
        let kl = elements.then_some(&mut self.kl[..]);
        conditional_forward(&units, ConditionalOutputs { z: &mut self.z, kl, mean_kl });
        if !backward {
            return;
        }
        let [d_m, d_log_r, d_previous] = &mut self.gradients;
        let gradients = ConditionalGradients {
            z: &self.z,
            d_z: Some(&self.d_z),
            d_kl: elements.then_some(&self.half[..]),
            d_mean_kl: (!elements).then_some(&self.half[..COLUMNS]),
            d_m: Some(d_m),
            d_log_r: Some(d_log_r),
            d_previous: Some(d_previous),
            d_phi: Some(d_phi),
            d_logvar: Some(d_logvar),
        };
        conditional_backward(&units, gradients);
    }
}

fn benchmarks(c: &mut Criterion) {
    let mut job = Job::new();
    type Work = fn(&mut Job, u32, bool);
    let works: [(&str, Work); 3] = [
        ("standard", Job::standard),
        ("autoregressive", |job, step, both| job.autoregressive(step, both, false)),
        ("autoregressive, elements", |job, step, both| job.autoregressive(step, both, true)),
    ];
    for both in [false, true] {
        let pass = if both { "forward and backward" } else { "forward" };
        let mut group = c.benchmark_group(format!("units with memory, {pass} {ROWS}x{COLUMNS}"));
        group.throughput(Throughput::Elements(SIZE as u64));
        for_each_setting(|setting, pool| {
            for (name, work) in works {
                group.bench_function(format!("{name}/{setting}"), |b| {
                    b.iter_custom(|n| time(pool, n, |step| work(black_box(&mut job), step, both)));
                });
            }
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = benchmarks
}
criterion_main!(benches);
