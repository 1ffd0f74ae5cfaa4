//! Common parts of the benchmarks: inputs, and the grid of SIMD levels and thread counts.

pub mod products;
pub mod streams;
pub mod training;

use std::time::{Duration, Instant};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::simd::{available, set_level};

/// The thread counts with which every parallel job is measured.
pub const THREADS: [usize; 2] = [1, 2];

/// Returns `len` numbers in `(low, high]` that depend on `stream` alone.
#[must_use]
pub fn uniform(stream: u32, len: usize, low: f32, high: f32) -> Vec<f32> {
    let mut x = vec![0.0; len];
    NoiseKey::new(1, stream, 0).fill_uniform(0, &mut x);
    x.iter_mut().for_each(|u| *u = low + (high - low) * *u);
    x
}

/// Calls `measure(name, pool)` for every available level with 1 and 2 threads. The name is
/// `level/threads`.
pub fn for_each_setting(mut measure: impl FnMut(&str, &Pool)) {
    for level in available() {
        set_level(level).expect("the level is available");
        for threads in THREADS {
            let pool = Pool::new(threads).expect("threads can be started");
            measure(&format!("{level}/{threads}t"), &pool);
        }
    }
}

/// Returns the time of `count` calls of `work` inside `pool`; each call gets a different number.
pub fn time(pool: &Pool, count: u64, mut work: impl FnMut(u32) + Send) -> Duration {
    pool.run(|| {
        let start = Instant::now();
        for step in 0..count {
            work(step as u32);
        }
        start.elapsed()
    })
}
