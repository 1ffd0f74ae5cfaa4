//! The fused kernel of a Gaussian unit, with both generators: noise, samples, KL statistics.
//! Throughput is in samples per second.
//!
//! The baselines in the same run are a plain scalar loop over `rand_distr::StandardNormal`, and the
//! same loop, fused by hand, on rayon's threads.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::{THREADS, for_each_setting, time, uniform};
use vdn_tensor::kernels::unit::{
    ClampGradient, LogVar, UnitGradients, UnitNoise, UnitOutputs, Units, unit_backward,
    unit_forward,
};
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::Pool;

/// Samples, means and log-variances of some rows.
type Chunk<'a> = ((&'a mut [f32], &'a [f32]), &'a [f32]);

/// One job: its inputs, and room for its outputs.
struct Job {
    rows: usize,
    columns: usize,
    samples: usize,
    generator: Generator,
    mu: Vec<f32>,
    logvar: Vec<f32>,
    z: Vec<f32>,
    statistics: [Vec<f32>; 5],
    d_mu: Vec<f32>,
    d_logvar: Vec<f32>,
}

impl Job {
    /// `spread` is the largest |mu|; sigmas lie between 0.6 and 1.
    fn new(rows: usize, columns: usize, samples: usize, spread: f32) -> Self {
        let size = rows * columns;
        Self {
            rows,
            columns,
            samples,
            generator: Generator::Philox10,
            mu: uniform(0, size, -spread, spread),
            logvar: uniform(1, size, -1.0, 0.0),
            z: vec![0.0; samples * size],
            statistics: [(); 5].map(|()| vec![0.0; columns]),
            d_mu: vec![0.0; size],
            d_logvar: vec![0.0; size],
        }
    }

    fn elements(&self) -> Throughput {
        Throughput::Elements((self.samples * self.rows * self.columns) as u64)
    }

    fn units<'a>(&self, mu: &'a [f32], logvar: &'a [f32], step: u32) -> Units<'a, f32> {
        let key = NoiseKey::new(1, 0, step).with_generator(self.generator);
        let noise = UnitNoise::Addressed(key);
        let Self { rows, columns, samples, .. } = *self;
        let logvar = LogVar::PerElement(logvar);
        Units { rows, columns, samples, mu, logvar, noise, antithetic: false }
    }

    fn forward(&mut self, step: u32) {
        let (mu, logvar) = (std::mem::take(&mut self.mu), std::mem::take(&mut self.logvar));
        let units = self.units(&mu, &logvar, step);
        let [m1, m2, c2, d0, lv] = &mut self.statistics;
        unit_forward(&units, UnitOutputs { z: &mut self.z, m1, m2, c2, d0, lv, kl: None });
        (self.mu, self.logvar) = (mu, logvar);
    }

    /// The gradient of `sum z^2 / 2 + sum KL`: the samples serve as their own gradient.
    fn backward(&mut self, step: u32) {
        let units = self.units(&self.mu, &self.logvar, step);
        let half = vec![0.5; self.columns];
        let gradients = UnitGradients {
            z: &self.z,
            m1: &self.statistics[0],
            d_z: Some(&self.z),
            d_m1: None,
            d_m2: Some(&half),
            d_c2: None,
            d_d0: Some(&half),
            d_lv: None,
            d_kl: None,
            clamp: ClampGradient::Inward,
        };
        let (mut d_mu, mut d_logvar) =
            (std::mem::take(&mut self.d_mu), std::mem::take(&mut self.d_logvar));
        unit_backward(&units, &gradients, Some(&mut d_mu), Some(&mut d_logvar));
        (self.d_mu, self.d_logvar) = (d_mu, d_logvar);
    }

    /// The code one would write without this library: each chunk of rows has its own generator.
    fn naive(&mut self, step: u32, parallel: bool) {
        let Self { columns, mu, logvar, z, statistics, .. } = self;
        let columns = *columns;
        let rows_per_chunk = 32;
        let chunk = rows_per_chunk * columns;
        let one = |(index, ((z, mu), logvar)): (usize, Chunk<'_>)| {
            let mut random = SmallRng::seed_from_u64(u64::from(step) << 32 | index as u64);
            let mut kl = vec![0.0_f32; columns];
            for (i, ((z, &mu), &logvar)) in z.iter_mut().zip(mu).zip(logvar).enumerate() {
                let eps: f32 = random.sample(StandardNormal);
                let sigma = (0.5 * logvar).exp();
                *z = mu + sigma * eps;
                kl[i % columns] += 0.5 * (mu * mu + sigma * sigma - 1.0 - logvar);
            }
            kl
        };
        let total = |mut a: Vec<f32>, b: Vec<f32>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        let kl = if parallel {
            let chunks =
                z.par_chunks_mut(chunk).zip(mu.par_chunks(chunk)).zip(logvar.par_chunks(chunk));
            chunks.enumerate().map(one).reduce(|| vec![0.0; columns], total)
        } else {
            let chunks = z.chunks_mut(chunk).zip(mu.chunks(chunk)).zip(logvar.chunks(chunk));
            chunks.enumerate().map(one).fold(vec![0.0; columns], total)
        };
        statistics[0] = kl;
    }
}

fn group(c: &mut Criterion, name: &str, mut job: Job, work: fn(&mut Job, u32)) {
    let mut group = c.benchmark_group(name);
    group.throughput(job.elements());
    for_each_setting(|setting, pool| {
        for (generator, note) in [(Generator::Philox10, ""), (Generator::Ars7, ", ARS")] {
            job.generator = generator;
            // The samples of this generator, when the backward pass runs alone.
            job.forward(0);
            group.bench_function(format!("{setting}{note}"), |b| {
                b.iter_custom(|count| time(pool, count, |step| work(black_box(&mut job), step)));
            });
        }
    });
    group.finish();
}

fn baselines(c: &mut Criterion, name: &str, mut job: Job) {
    let mut group = c.benchmark_group(name);
    group.throughput(job.elements());
    for threads in THREADS {
        let pool = Pool::new(threads).expect("threads can be started");
        if threads == 1 {
            group.bench_function("scalar loop, rand_distr/1t", |b| {
                b.iter_custom(|n| time(&pool, n, |step| black_box(&mut job).naive(step, false)));
            });
        }
        group.bench_function(format!("hand-fused rayon loop, rand_distr/{threads}t"), |b| {
            b.iter_custom(|n| time(&pool, n, |step| black_box(&mut job).naive(step, true)));
        });
    }
    group.finish();
}

fn benchmarks(c: &mut Criterion) {
    for (rows, columns) in [(256, 1024), (4096, 4096)] {
        let name = format!("sample_kl forward {rows}x{columns}");
        group(c, &name, Job::new(rows, columns, 1, 2.0), Job::forward);
        baselines(c, &name, Job::new(rows, columns, 1, 2.0));
    }
    group(c, "sample_kl forward S=4 256x1024", Job::new(256, 1024, 4, 2.0), Job::forward);
    let both: fn(&mut Job, u32) = |job, step| {
        job.forward(step);
        job.backward(step);
    };
    group(c, "sample_kl forward and backward 256x1024", Job::new(256, 1024, 1, 2.0), both);
    let backward: fn(&mut Job, u32) = |job, _| job.backward(0);
    group(c, "sample_kl backward (z - mu) 256x1024", Job::new(256, 1024, 1, 2.0), backward);
    group(c, "sample_kl backward (regenerated) 256x1024", Job::new(256, 1024, 1, 20.0), backward);
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
