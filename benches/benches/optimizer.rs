//! AdamW over the parameters of the default forecaster, and the moving average of the weights.
//! Throughput is in bytes: AdamW reads each gradient twice (once for the norm) and reads and writes
//! parameter and moments, 32 bytes per number. The moving average takes 12 bytes per number.
//!
//! The upper limit in the same run is the stream triad over arrays that together are as large as
//! parameters, moments and gradients.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::streams::triad;
use vdn_benches::training::Training;
use vdn_benches::{for_each_setting, time, uniform};
use vdn_forecast::forecaster::ForecasterConfig;

fn benchmarks(c: &mut Criterion) {
    let mut training = Training::new(ForecasterConfig::default(), 32, None);
    let numel = training.numel();
    let mut group = c.benchmark_group(format!("optimizer {numel} parameters"));
    for_each_setting(|setting, pool| {
        // Computes gradients for the steps; they stay on the tape.
        pool.run(|| training.forward_backward(0));
        group.throughput(Throughput::Bytes(32 * numel as u64));
        group.bench_function(format!("AdamW/{setting}"), |b| {
            b.iter_custom(|count| time(pool, count, |_| black_box(&mut training).update()));
        });
        group.throughput(Throughput::Bytes(12 * numel as u64));
        group.bench_function(format!("weight average/{setting}"), |b| {
            b.iter_custom(|count| time(pool, count, |_| black_box(&mut training).average()));
        });
        let len = 4 * numel / 3;
        let mut a = vec![0.0; len];
        let (b, d) = (uniform(0, len, 0.0, 1.0), uniform(1, len, 0.0, 1.0));
        group.throughput(Throughput::Bytes(12 * len as u64));
        group.bench_function(format!("stream triad/{setting}"), |bench| {
            bench.iter_custom(|n| {
                time(pool, n, |_| triad(0.5, black_box(&mut a), black_box([&b, &d])))
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .nresamples(5000)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = benchmarks
}
criterion_main!(benches);
