//! The vector functions on every level, with one thread and 4096 numbers in the first-level cache.
//! Throughput is in numbers per second. The baseline in the same run is the same function of the
//! standard library in a plain loop.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_benches::uniform;
use vdn_tensor::Real;
use vdn_tensor::kernels::{Formula, map};
use vdn_tensor::simd::{available, set_level};

const LEN: usize = 4096;

/// A function, its domain, and the baseline.
type Row = (&'static str, [f32; 2], fn(&[f32], &mut [f32]), Option<fn(f32) -> f32>);

/// The rows of the table.
macro_rules! rows {
    ($($name:literal $low:literal $high:literal |$x:ident| $value:expr, $baseline:expr;)*) => {
        vec![$(($name, [$low, $high], {
            struct Function;
            impl Formula<1, 1> for Function {
                #[inline(always)]
                fn apply<R: Real>(&self, [$x]: [R; 1]) -> [R; 1] {
                    [$value]
                }
            }
            fn run(x: &[f32], y: &mut [f32]) {
                map(&Function, [x], [y]);
            }
            run
        }, $baseline)),*]
    };
}

fn benchmarks(c: &mut Criterion) {
    let rows: Vec<Row> = rows! {
        "exp" -20.0 20.0 |x| x.exp(), Some(f32::exp);
        "exp_m1" -2.0 2.0 |x| x.exp_m1(), Some(f32::exp_m1);
        "ln" 0.001 100.0 |x| x.ln(), Some(f32::ln);
        "ln_1p" -0.9 10.0 |x| x.ln_1p(), Some(f32::ln_1p);
        "tanh" -4.0 4.0 |x| x.tanh(), Some(f32::tanh);
        "sigmoid" -8.0 8.0 |x| x.sigmoid(), Some(|x| 1.0 / (1.0 + (-x).exp()));
        "softplus" -8.0 8.0 |x| x.softplus(), Some(|x| x.max(0.0) + (-x.abs()).exp().ln_1p());
        "erf" -3.0 3.0 |x| x.erf(), None;
        "exp_with_excess" -9.0 2.0 |x| { let [e, excess] = x.exp_with_excess(); e + excess }, None;
        "sqrt" 0.0 100.0 |x| x.sqrt(), Some(f32::sqrt);
    };
    for (name, [low, high], run, baseline) in rows {
        let mut group = c.benchmark_group(format!("math {name}"));
        group.throughput(Throughput::Elements(LEN as u64));
        let (x, mut y) = (uniform(0, LEN, low, high), vec![0.0; LEN]);
        for level in available() {
            set_level(level).expect("the level is available");
            group.bench_function(level.name(), |b| {
                b.iter(|| run(black_box(&x), black_box(&mut y)));
            });
        }
        if let Some(f) = baseline {
            group.bench_function("standard library", |b| {
                b.iter(|| {
                    black_box(&mut y).iter_mut().zip(black_box(&x)).for_each(|(y, &x)| *y = f(x));
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400));
    targets = benchmarks
}
criterion_main!(benches);
