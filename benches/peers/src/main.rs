//! The same jobs in vdn, candle and burn, timed in one run on this machine's processor.
//!
//! Run with `RAYON_NUM_THREADS=2 cargo run --release` in this folder; all three libraries use this
//! number of threads. The output has the medians of at least seven calls after a warm-up.
//!
//! The jobs, in `f32`:
//!
//! * forward: `z = mu + exp(logvar / 2) eps` with new noise, and for each unit the mean over the
//!   batch of its KL to the standard normal, 256 x 1024;
//! * forward and backward of `sum z^2 / 2 + sum KL`, with respect to `mu` and `logvar`;
//! * a training step of the forecaster in the reference shape (256 windows of 336, horizon 96,
//!   hidden width 256, 1024 units with one deviation each, 4 samples): loss, gradients, AdamW. The
//!   versions of candle and burn do a little less: no dropout, no moving average, no energy band,
//!   no gradient clipping.

mod burn_jobs;
mod candle_jobs;
mod vdn_jobs;

use std::time::{Duration, Instant};

/// The rows and units of the first two jobs.
const ROWS: usize = 256;
const UNITS: usize = 1024;

/// The reference shape of the training step.
const BATCH: usize = 256;
const INPUT: usize = 336;
const HORIZON: usize = 96;
const HIDDEN: usize = 256;
const SAMPLES: usize = 4;

/// Returns the median time of a call.
fn median(mut work: impl FnMut()) -> Duration {
    work();
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 7 || start.elapsed() < Duration::from_secs(2) {
        let call = Instant::now();
        work();
        times.push(call.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let jobs: [(&str, [Duration; 3]); 3] = [
        ("vdn", vdn_jobs::run()),
        ("candle", candle_jobs::run().expect("candle's operations exist on the processor")),
        ("burn (flex)", burn_jobs::run()),
    ];
    println!("threads: {}", vdn_tensor::parallel::threads());
    println!("| | forward, Gelem/s | forward and backward, Gelem/s | training step, ms |");
    println!("|---|---|---|---|");
    let elements = (ROWS * UNITS) as f64;
    for (name, [forward, both, step]) in jobs {
        println!(
            "| {name} | {:.3} | {:.3} | {:.1} |",
            elements / forward.as_secs_f64() / 1e9,
            elements / both.as_secs_f64() / 1e9,
            step.as_secs_f64() * 1e3
        );
    }
}
