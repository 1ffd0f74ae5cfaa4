//! The matrix product compared with the `gemm` crate. Throughput is in floating-point operations,
//! two for each multiply-add.
//!
//! Shapes are m x k x n. The suffix nn, nt or tn states which factor is stored transposed; a linear
//! layer needs nt forward, and nn and tn backward. On a noisy machine use the example
//! `matmul_ratio`, which compares the two products in turns.

mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::products::{FORMS, Product, SHAPES};
use vdn_benches::{THREADS, for_each_setting, time};
use vdn_tensor::Element;
use vdn_tensor::parallel::Pool;

fn product<T: Element>(group: &mut BenchmarkGroup<'_, WallTime>, mut product: Product<T>) {
    let name = product.name();
    group.throughput(Throughput::Elements(product.flop()));
    for_each_setting(|setting, pool| {
        group.bench_function(format!("{name}/{setting}"), |b| {
            b.iter_custom(|count| time(pool, count, |_| black_box(&mut product).run()));
        });
    });
    for threads in THREADS {
        let pool = Pool::new(threads).expect("threads can be started");
        group.bench_function(format!("{name}/gemm crate/{threads}t"), |b| {
            b.iter_custom(|count| {
                time(&pool, count, |_| support::gemm_crate(black_box(&mut product), threads))
            });
        });
    }
}

fn benchmarks(c: &mut Criterion) {
    let mut group = c.benchmark_group("matmul f32");
    for shape in SHAPES {
        for [a, b] in FORMS {
            product(&mut group, Product::<f32>::new(shape, a, b));
        }
    }
    group.finish();
    let mut group = c.benchmark_group("matmul f64");
    for [a, b] in FORMS {
        product(&mut group, Product::<f64>::new(SHAPES[0], a, b));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = benchmarks
}
criterion_main!(benches);
