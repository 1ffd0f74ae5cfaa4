//! Addressed noise alone: normals and uniforms of both generators, from one number to 10^8.
//! Throughput is in numbers per second.
//!
//! The baselines in the same run are a plain loop over `rand_distr::StandardNormal` (a ziggurat)
//! with a small generator, and the same loop on rayon's threads.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::time::Duration;
use vdn_benches::{THREADS, for_each_setting, time};
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::Pool;

type Fill = fn(NoiseKey, &mut [f32]);

/// Lengths in the second-level cache and in memory.
const LENGTHS: [usize; 2] = [1 << 16, 1 << 24];

fn library(c: &mut Criterion) {
    let jobs: [(&str, Fill); 2] = [
        ("normal", |key, out| key.fill_normal(0, out)),
        ("uniform", |key, out| key.fill_uniform(0, out)),
    ];
    for (name, fill) in jobs {
        for len in LENGTHS {
            let mut group = c.benchmark_group(format!("noise {name} {len}"));
            group.throughput(Throughput::Elements(len as u64));
            let mut out = vec![0.0; len];
            for_each_setting(|setting, pool| {
                for (generator, note) in [(Generator::Philox10, ""), (Generator::Ars7, ", ARS")] {
                    let key = |step| NoiseKey::new(1, 0, step).with_generator(generator);
                    group.bench_function(format!("{setting}{note}"), |b| {
                        b.iter_custom(|n| time(pool, n, |step| fill(key(step), &mut out)));
                    });
                }
            });
            group.finish();
        }
    }
}

fn baselines(c: &mut Criterion) {
    /// The number of elements with a generator of their own.
    const CHUNK: usize = 1 << 14;
    let chunk = |step: u32, index: usize, out: &mut [f32]| {
        let mut random = SmallRng::seed_from_u64(u64::from(step) << 32 | index as u64);
        out.iter_mut().for_each(|x| *x = random.sample(StandardNormal));
    };
    for len in LENGTHS {
        let mut group = c.benchmark_group(format!("noise normal {len}"));
        group.throughput(Throughput::Elements(len as u64));
        let mut out = vec![0.0_f32; len];
        for threads in THREADS {
            let pool = Pool::new(threads).expect("threads can be started");
            group.bench_function(format!("rayon loop, rand_distr/{threads}t"), |b| {
                b.iter_custom(|n| {
                    time(&pool, n, |step| {
                        let chunks = out.par_chunks_mut(CHUNK).enumerate();
                        chunks.for_each(|(index, out)| chunk(step, index, out));
                    })
                });
            });
        }
        group.finish();
    }
}

/// Measures how the cost grows from one number to 10^8, on the best level and one thread.
fn sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("noise normal, best level, 1 thread");
    let pool = Pool::new(1).expect("a thread can be started");
    for len in [1, 16, 64, 1024, 1 << 16, 1 << 20, 100_000_000] {
        group.throughput(Throughput::Elements(len as u64));
        let mut out = vec![0.0; len];
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter_custom(|n| {
                time(&pool, n, |step| NoiseKey::new(1, 0, step).fill_normal::<f32>(0, &mut out))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700));
    targets = library, baselines, sizes
}
criterion_main!(benches);
