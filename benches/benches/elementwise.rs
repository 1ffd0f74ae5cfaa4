//! Element-wise operations on the tape, with and without broadcasting. Throughput is in elements of
//! the result. The baseline is a plain loop over a slice, compiled for the build's instruction set.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use vdn_autograd::{Tape, Var};
use vdn_benches::{for_each_setting, time, uniform};
use vdn_tensor::Tensor;

/// Records an operation on two inputs; a function of one number ignores the second.
type Record = fn(&mut Tape<f32>, Var, Var) -> Result<Var, vdn_autograd::Error>;

/// The shape of the first input and of the result, and the shape of the second input.
const SHAPES: [([usize; 2], [usize; 2], &str); 5] = [
    ([1, 64], [1, 64], "64"),
    ([256, 1024], [256, 1024], "256x1024"),
    ([256, 1024], [1, 1024], "256x1024, second 1x1024"),
    ([256, 1024], [256, 1], "256x1024, second 256x1"),
    ([4096, 4096], [4096, 4096], "4096x4096"),
];

/// Measures an operation at every shape, and `plain`, the same function of two numbers, inlined
/// into a plain loop.
fn operation(
    c: &mut Criterion,
    name: &str,
    unary: bool,
    record: Record,
    plain: impl Fn(f32, f32) -> f32,
) {
    for (first, second, shapes) in SHAPES {
        if unary && first != second {
            continue;
        }
        let len = first[0] * first[1];
        let mut group = c.benchmark_group(format!("elementwise {name} {shapes}"));
        group.throughput(Throughput::Elements(len as u64));
        let x = Arc::new(Tensor::from_slice(first, &uniform(0, len, -3.0, 3.0)).expect("it fits"));
        let y = uniform(1, second[0] * second[1], -3.0, 3.0);
        let y = Arc::new(Tensor::from_slice(second, &y).expect("it fits"));
        // One tape, which keeps its memory after the first recording, as in a training loop.
        let mut tape = Tape::new();
        for_each_setting(|setting, pool| {
            group.bench_function(setting, |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        tape.reset();
                        let (a, b) = (tape.shared(&x, false), tape.shared(&y, false));
                        let z = record(&mut tape, black_box(a), b).expect("the shapes fit");
                        black_box(tape.value(z));
                    })
                });
            });
        });
        let mut z = vec![0.0; len];
        let [rows, columns] = second;
        group.bench_function("plain loop/1t", |b| {
            b.iter(|| {
                let (x, y) = (black_box(x.data()), black_box(y.data()));
                for (row, z) in z.chunks_exact_mut(first[1]).enumerate() {
                    let x = &x[row * first[1]..][..first[1]];
                    match &y[row % rows * columns..][..columns] {
                        &[y] => z.iter_mut().zip(x).for_each(|(z, &x)| *z = plain(x, y)),
                        y => {
                            for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                                *z = plain(x, y);
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

fn benchmarks(c: &mut Criterion) {
    operation(c, "add", false, Tape::add, |x, y| x + y);
    operation(c, "mul", false, Tape::mul, |x, y| x * y);
    operation(
        c,
        "gelu",
        true,
        |tape, x, _| tape.gelu(x),
        |x, _| 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
    );
    operation(c, "sigmoid", true, |tape, x, _| tape.sigmoid(x), |x, _| 1.0 / (1.0 + (-x).exp()));
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
