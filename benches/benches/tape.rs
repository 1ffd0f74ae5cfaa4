//! The cost of the tape per operation: a chain of 1000 small operations, recorded and
//! differentiated. Throughput is in operations.
//!
//! * `reused`: one tape, reset before each recording, as in a training loop.
//! * `fresh`: a new tape each time.
//!
//! The baseline is the arithmetic of the chain alone, forward and backward, in a plain loop.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_autograd::{Tape, Var};
use vdn_benches::{for_each_setting, time, uniform};

/// The number of operations in a chain.
const CHAIN: usize = 1000;

/// Records `x <- x a` and `x <- x + b` in turns.
fn record(tape: &mut Tape<f32>, x: &[f32]) -> Var {
    let len = x.len();
    let start = tape.variable([len], x).expect("the length fits");
    let a = tape.constant([len], x).expect("the length fits");
    let mut y = start;
    for _ in 0..CHAIN / 2 {
        y = tape.mul(y, a).expect("the shapes fit");
        y = tape.add(y, start).expect("the shapes fit");
    }
    tape.sum(y).expect("a live variable")
}

/// Computes the same numbers without a tape; the result is the gradient of the chain's sum.
fn plain(x: &[f32], values: &mut Vec<f32>, gradient: &mut [f32]) {
    values.clear();
    values.extend_from_slice(x);
    for turn in 0..CHAIN / 2 {
        for i in 0..x.len() {
            let y = values[turn * x.len() + i];
            values.push(y * x[i] + x[i]);
        }
    }
    let mut d = vec![1.0; x.len()];
    gradient.fill(0.0);
    for _ in 0..CHAIN / 2 {
        for i in 0..x.len() {
            gradient[i] += d[i];
            d[i] *= x[i];
        }
    }
    for (gradient, d) in gradient.iter_mut().zip(d) {
        *gradient += d;
    }
}

fn benchmarks(c: &mut Criterion) {
    for len in [1, 64, 1024] {
        let x = uniform(0, len, 0.0, 0.9);
        let mut group = c.benchmark_group(format!("tape {CHAIN} operations on {len}"));
        group.throughput(Throughput::Elements(CHAIN as u64));
        for_each_setting(|setting, pool| {
            let mut tape = Tape::new();
            group.bench_function(format!("record, reused/{setting}"), |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        tape.reset();
                        black_box(record(&mut tape, black_box(&x)));
                    })
                });
            });
            group.bench_function(format!("record and backward, reused/{setting}"), |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        tape.reset();
                        let loss = record(&mut tape, black_box(&x));
                        tape.backward(black_box(loss)).expect("a scalar");
                    })
                });
            });
            group.bench_function(format!("record and backward, fresh/{setting}"), |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        let mut tape = Tape::new();
                        let loss = record(&mut tape, black_box(&x));
                        tape.backward(black_box(loss)).expect("a scalar");
                    })
                });
            });
        });
        let (mut values, mut gradient) = (Vec::new(), vec![0.0; len]);
        group.bench_function("arithmetic alone, scalar loop/1t", |b| {
            b.iter(|| {
                plain(black_box(&x), &mut values, &mut gradient);
                black_box(&mut gradient);
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .nresamples(5000)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500));
    targets = benchmarks
}
criterion_main!(benches);
