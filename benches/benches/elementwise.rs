//! Element-wise operations as the tape records them, with and without broadcasting. Throughput is in elements of the
//! result; the baseline is the plain loop over a slice, compiled for the build's instruction set.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_autograd::{Tape, Var};
use vdn_benches::{for_each_setting, time, uniform};

/// One operation: two inputs, of which a function of one number ignores the second.
struct Operation {
    name: &'static str,
    record: fn(&mut Tape<f32>, Var, Var) -> Result<Var, vdn_autograd::Error>,
    plain: fn(f32, f32) -> f32,
}

const OPERATIONS: [Operation; 4] = [
    Operation { name: "add", record: Tape::add, plain: |x, y| x + y },
    Operation { name: "mul", record: Tape::mul, plain: |x, y| x * y },
    Operation {
        name: "gelu",
        record: |tape, x, _| tape.gelu(x),
        plain: |x, _| 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
    },
    Operation {
        name: "sigmoid",
        record: |tape, x, _| tape.sigmoid(x),
        plain: |x, _| 1.0 / (1.0 + (-x).exp()),
    },
];

/// The shape of the first input and of the result, and that of the second.
const SHAPES: [([usize; 2], [usize; 2], &str); 5] = [
    ([1, 64], [1, 64], "64"),
    ([256, 1024], [256, 1024], "256x1024"),
    ([256, 1024], [1, 1024], "256x1024, second 1x1024"),
    ([256, 1024], [256, 1], "256x1024, second 256x1"),
    ([4096, 4096], [4096, 4096], "4096x4096"),
];

fn benchmarks(c: &mut Criterion) {
    for operation in &OPERATIONS {
        for (first, second, shapes) in SHAPES {
            let unary = matches!(operation.name, "gelu" | "sigmoid");
            if unary && first != second {
                continue;
            }
            let len = first[0] * first[1];
            let mut group = c.benchmark_group(format!("elementwise {} {shapes}", operation.name));
            group.throughput(Throughput::Elements(len as u64));
            let x = uniform(0, len, -3.0, 3.0);
            let y = uniform(1, second[0] * second[1], -3.0, 3.0);
            // The inputs stay on the tape; only the operation is recorded again and again.
            for_each_setting(|setting, pool| {
                group.bench_function(setting, |b| {
                    b.iter_custom(|count| {
                        let mut spent = Duration::ZERO;
                        let mut tape = Tape::new();
                        for _ in 0..count {
                            tape.reset();
                            let a = tape.constant(first, &x).expect("the length fits");
                            let b = tape.constant(second, &y).expect("the length fits");
                            spent += time(pool, 1, |_| {
                                let z = (operation.record)(&mut tape, black_box(a), b);
                                black_box(z.expect("the shapes fit"));
                            });
                        }
                        spent
                    });
                });
            });
            let mut z = vec![0.0; len];
            group.bench_function("scalar loop/1t", |b| {
                b.iter(|| {
                    let (x, y) = (black_box(&x), black_box(&y));
                    for (row, z) in z.chunks_exact_mut(first[1]).enumerate() {
                        let x = &x[row * first[1]..][..first[1]];
                        let y = &y[row % second[0] * second[1]..][..second[1]];
                        match y {
                            &[y] => {
                                z.iter_mut()
                                    .zip(x)
                                    .for_each(|(z, &x)| *z = (operation.plain)(x, y));
                            }
                            y => {
                                for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                                    *z = (operation.plain)(x, y);
                                }
                            }
                        }
                    }
                    black_box(&mut z);
                });
            });
            group.finish();
        }
    }
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
