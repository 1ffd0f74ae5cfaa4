//! A training step of the forecaster (forward, backward and AdamW) on 256 windows, compared with
//! the step's own matrix products back to back, by the library's product and by the `gemm` crate.
//! Throughput is in floating-point operations of these products, so that all have the same scale.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::products::{Product, linear_layers, reference_shape, step_products};
use vdn_benches::training::{Band, Training};
use vdn_benches::{THREADS, for_each_setting, time};
use vdn_forecast::forecaster::ForecasterConfig;
use vdn_tensor::parallel::Pool;

/// The number of windows in a batch.
const BATCH: usize = 256;

fn step(c: &mut Criterion, name: &str, config: ForecasterConfig, band: Option<Band>) {
    let mut group = c.benchmark_group(format!("training_step {name}"));
    let mut products = step_products(&linear_layers(&config, BATCH));
    let flop = products.iter().map(Product::flop).sum();
    group.throughput(Throughput::Elements(flop));
    let mut training = Training::new(config, BATCH, band);
    for_each_setting(|setting, pool| {
        group.bench_function(format!("step/{setting}"), |b| {
            b.iter_custom(|count| time(pool, count, |step| black_box(&mut training).step(step)));
        });
        group.bench_function(format!("forward and backward/{setting}"), |b| {
            b.iter_custom(|count| {
                time(pool, count, |step| black_box(&mut training).forward_backward(step))
            });
        });
        group.bench_function(format!("its products/{setting}"), |b| {
            b.iter_custom(|count| {
                time(pool, count, |_| black_box(&mut products).iter_mut().for_each(Product::run))
            });
        });
    });
    for threads in THREADS {
        let pool = Pool::new(threads).expect("threads can be started");
        group.bench_function(format!("its products, gemm crate/{threads}t"), |b| {
            b.iter_custom(|count| {
                time(&pool, count, |_| {
                    for product in black_box(&mut products) {
                        support::gemm_crate(product, threads);
                    }
                })
            });
        });
    }
    group.finish();
}

fn benchmarks(c: &mut Criterion) {
    let band = Band { limits: [0.2, 0.4], weight: 1.0 };
    step(c, "reference shape", reference_shape(), Some(band));
    step(c, "default", ForecasterConfig::default(), None);
    let wide = ForecasterConfig { head_hidden: 512, ..ForecasterConfig::default() };
    step(c, "default, head hidden 512", wide, None);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = benchmarks
}
criterion_main!(benches);
