//! The density of whole windows of 96 steps with shared causes, forward and with its gradient, for
//! a batch of 64 windows. Throughput is in windows.
//!
//! The baseline computes the covariance of a window, `[96, 96]`, and factorises it with plain
//! loops.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vdn_autograd::{Error, LowRankNll, Tape, Var};
use vdn_benches::{for_each_setting, time, uniform};

const WINDOWS: usize = 64;
const STEPS: usize = 96;

/// The numbers of a batch with `rank` causes.
struct Batch {
    rank: usize,
    mean: Vec<f32>,
    scales: Vec<f32>,
    weights: Vec<f32>,
    sigma: Vec<f32>,
    y: Vec<f32>,
}

impl Batch {
    fn new(rank: usize) -> Self {
        let step = WINDOWS * STEPS;
        let weight = (rank as f32).recip().sqrt();
        Self {
            rank,
            mean: uniform(0, step, -1.0, 1.0),
            scales: uniform(1, WINDOWS * rank, 0.5, 1.5),
            weights: uniform(2, STEPS * rank, -weight, weight),
            sigma: uniform(3, step, 0.5, 1.5),
            y: uniform(4, step, -1.0, 1.0),
        }
    }

    fn record(&self, tape: &mut Tape<f32>) -> Result<Var, Error> {
        let steps = [WINDOWS, STEPS];
        let mean = tape.variable(steps, &self.mean)?;
        let scales = tape.variable([WINDOWS, self.rank], &self.scales)?;
        let weights = tape.variable([STEPS, self.rank], &self.weights)?;
        let sigma = tape.variable(steps, &self.sigma)?;
        let y = tape.constant(steps, &self.y)?;
        let options = LowRankNll { relative: true, ..LowRankNll::default() };
        Ok(tape.low_rank_nll(mean, scales, weights, sigma, y, options)?.nll)
    }

    /// Returns the sum over windows by dense covariances, without its constant.
    fn dense(&self) -> f64 {
        let mut sum = 0.0;
        let mut factor = vec![0.0_f64; STEPS * STEPS];
        let mut pull = vec![0.0_f64; STEPS];
        for window in 0..WINDOWS {
            let scales = &self.scales[window * self.rank..][..self.rank];
            let sigma = &self.sigma[window * STEPS..][..STEPS];
            for i in 0..STEPS {
                for j in 0..=i {
                    let mut shared = if i == j { 1.0 } else { 0.0 };
                    for n in 0..self.rank {
                        let [a, b] = [i, j].map(|h| self.weights[h * self.rank + n] * scales[n]);
                        shared += f64::from(a) * f64::from(b);
                    }
                    factor[i * STEPS + j] = shared * f64::from(sigma[i]) * f64::from(sigma[j]);
                }
            }
            for i in 0..STEPS {
                for j in 0..=i {
                    let mut left = factor[i * STEPS + j];
                    for k in 0..j {
                        left -= factor[i * STEPS + k] * factor[j * STEPS + k];
                    }
                    factor[i * STEPS + j] =
                        if i == j { left.sqrt() } else { left / factor[j * STEPS + j] };
                }
                let at = window * STEPS + i;
                let mut left = f64::from(self.y[at] - self.mean[at]);
                for k in 0..i {
                    left -= factor[i * STEPS + k] * pull[k];
                }
                pull[i] = left / factor[i * STEPS + i];
                sum += factor[i * STEPS + i].ln() + 0.5 * pull[i] * pull[i];
            }
        }
        sum
    }
}

fn benchmarks(c: &mut Criterion) {
    for rank in [16, 64] {
        let batch = Batch::new(rank);
        let mut group = c.benchmark_group(format!("low_rank_nll, {STEPS} steps, {rank} causes"));
        group.throughput(Throughput::Elements(WINDOWS as u64));
        for_each_setting(|setting, pool| {
            let mut tape = Tape::new();
            group.bench_function(format!("forward/{setting}"), |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        tape.reset();
                        black_box(batch.record(&mut tape).expect("the shapes fit"));
                    })
                });
            });
            group.bench_function(format!("forward and backward/{setting}"), |b| {
                b.iter_custom(|count| {
                    time(pool, count, |_| {
                        tape.reset();
                        let loss = batch.record(&mut tape).expect("the shapes fit");
                        tape.backward(black_box(loss)).expect("a scalar");
                    })
                });
            });
        });
        group.bench_function("dense covariance, forward", |b| b.iter(|| black_box(&batch).dense()));
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
