//! The upper limits of this machine: multiply-adds from registers, and streams through every level
//! of the memory.
//!
//! Throughput of the first group is in floating-point operations. Throughput of the second group is
//! in bytes as STREAM counts them: each array is read or written once, without the read of a line
//! before it is written.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::streams::triad;
use vdn_benches::{THREADS, for_each_setting, time, uniform};
use vdn_tensor::Real;
use vdn_tensor::dispatch;
use vdn_tensor::kernels::copy;
use vdn_tensor::parallel::{Pool, for_each};
use vdn_tensor::simd::{LANES, Lanes, Level, Simd};

/// The number of multiply-adds of a chain in one call.
const TURNS: usize = 20_000;

/// Returns the number of chains of sixteen lanes that fill the registers of a level; two registers
/// are left for the factors.
const fn chains(level: Level) -> usize {
    match level {
        Level::Portable => 3,
        Level::Avx2 => 6,
        Level::Avx512 => 16,
    }
}

#[inline(always)]
fn multiply_adds<S: Simd, const CHAINS: usize>(simd: S, start: f32) -> f32 {
    let (factor, term) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
    let mut sums = [simd.splat(start); CHAINS];
    for _ in 0..TURNS {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    let mut total = simd.splat(0.0);
    for sum in sums {
        total = total + sum;
    }
    total.sum()
}

#[inline(always)]
fn at_level<S: Simd>(simd: S, start: f32) -> f32 {
    match S::LEVEL {
        Level::Portable => multiply_adds::<S, { chains(Level::Portable) }>(simd, start),
        Level::Avx2 => multiply_adds::<S, { chains(Level::Avx2) }>(simd, start),
        Level::Avx512 => multiply_adds::<S, { chains(Level::Avx512) }>(simd, start),
    }
}

fn arithmetic(c: &mut Criterion) {
    let mut group = c.benchmark_group("ceilings f32 multiply-adds");
    for_each_setting(|setting, pool| {
        let threads = pool.run(vdn_tensor::parallel::threads);
        let level = vdn_tensor::simd::level().expect("the level is available");
        let flop = 2 * threads * TURNS * chains(level) * LANES;
        group.throughput(Throughput::Elements(flop as u64));
        group.bench_function(setting, |b| {
            b.iter_custom(|count| {
                time(pool, count, |step| {
                    for_each(threads, |_| {
                        black_box(dispatch!(simd => at_level(simd, step as f32)));
                    });
                })
            });
        });
    });
    group.finish();
}

/// Numbers per array, and the memory level of three such arrays on a machine with 512 KiB and 32
/// MiB of level 2 and 3.
const SIZES: [(usize, &str); 4] =
    [(2 << 10, "level 1"), (32 << 10, "level 2"), (1 << 20, "level 3"), (32 << 20, "memory")];

fn streams(c: &mut Criterion) {
    let pools = THREADS.map(|threads| Pool::new(threads).expect("threads can be started"));
    for (len, place) in SIZES {
        let mut a = vec![0.0; len];
        let (b, d) = (uniform(0, len, 0.0, 1.0), uniform(1, len, 0.0, 1.0));
        let mut group =
            c.benchmark_group(format!("ceilings stream 3 x {} KiB ({place})", len >> 8));
        for (pool, threads) in pools.iter().zip(THREADS) {
            group.throughput(Throughput::Bytes(8 * len as u64));
            group.bench_function(format!("copy/{threads}t"), |bench| {
                bench.iter_custom(|n| time(pool, n, |_| copy(black_box(&b), black_box(&mut a))));
            });
            group.throughput(Throughput::Bytes(12 * len as u64));
            group.bench_function(format!("triad/{threads}t"), |bench| {
                bench.iter_custom(|n| {
                    time(pool, n, |_| triad(0.5, black_box(&mut a), black_box([&b, &d])))
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .nresamples(5000)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = arithmetic, streams
}
criterion_main!(benches);
