//! The normals that kernels draw, 2^32 of them over many addresses, compared with the exact
//! distribution: moments, the Kolmogorov-Smirnov distance, tails up to six standard deviations. The
//! example `noise_stream` sends the underlying words to test batteries.

use std::sync::Mutex;
use vdn_tensor::math::double::erf;
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::for_each;

/// Numbers drawn at one address `(stream, step, sample)`.
const CHUNK: usize = 1 << 18;
/// Bins of the histogram, between -8 and 8.
const BINS: usize = 1 << 16;
const TAILS: usize = 6;

struct Counts {
    /// Sums of the first four powers.
    powers: [f64; 4],
    bins: Vec<u64>,
    /// How many are beyond 1, 2, ... standard deviations, on either side.
    beyond: [u64; TAILS],
}

impl Counts {
    fn new() -> Self {
        Self { powers: [0.0; 4], bins: vec![0; BINS], beyond: [0; TAILS] }
    }

    fn add(&mut self, z: &[f32]) {
        for &z in z {
            let (x, square) = (f64::from(z), f64::from(z) * f64::from(z));
            for (sum, power) in self.powers.iter_mut().zip([x, square, square * x, square * square])
            {
                *sum += power;
            }
            self.bins[((x + 8.0) * (BINS as f64 / 16.0)) as usize] += 1;
            for (k, count) in self.beyond.iter_mut().enumerate() {
                *count += u64::from(z.abs() > (k + 1) as f32);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.powers.iter_mut().zip(other.powers).for_each(|(a, b)| *a += b);
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += b);
        self.beyond.iter_mut().zip(other.beyond).for_each(|(a, b)| *a += b);
    }
}

/// Checks `chunks * CHUNK` normals against bounds that exact normals exceed in one of a million
/// runs (five standard errors), and prints the figures.
fn check(
    generator: Generator,
    chunks: usize,
    transform: impl Fn(f32) -> f32 + Sync,
) -> Vec<String> {
    println!("{generator:?}");
    let total = Mutex::new(Counts::new());
    for_each(chunks.div_ceil(64), |task| {
        let (mut counts, mut z) = (Counts::new(), vec![0.0_f32; CHUNK]);
        for chunk in task * 64..chunks.min((task + 1) * 64) {
            let c = chunk as u32;
            let key = NoiseKey::new(2026, c % 8, c / 8 % 64).with_generator(generator);
            key.fill_normal(c / 512, &mut z);
            z.iter_mut().for_each(|z| *z = transform(*z));
            counts.add(&z);
        }
        total.lock().unwrap().merge(&counts);
    });
    let counts = total.into_inner().unwrap();
    let n = (chunks * CHUNK) as f64;
    let mut failures = Vec::new();
    let mut line = |name: String, got: f64, want: f64, error: f64| {
        let z = (got - want) / error;
        let text = format!("{name}: {got:.9e}, exactly {want:.9e}, {z:+.2} standard errors");
        println!("{text}");
        if !(z.abs() <= 5.0) {
            failures.push(text);
        }
    };
    // The moments of the normal distribution, and the variances of its powers.
    for (k, (want, variance)) in
        [(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)].iter().enumerate()
    {
        line(format!("moment {}", k + 1), counts.powers[k] / n, *want, f64::sqrt(variance / n));
    }
    for (k, &count) in counts.beyond.iter().enumerate() {
        let p = 1.0 - erf((k + 1) as f64 / std::f64::consts::SQRT_2);
        // Few are expected beyond six; one more in the error keeps the bound wide enough for a
        // Poisson number.
        let error = (n * p * (1.0 - p)).sqrt() + 1.0;
        line(format!("beyond {} sigma", k + 1), count as f64, n * p, error);
    }
    let (mut below, mut distance) = (0_u64, 0.0_f64);
    for (i, count) in counts.bins.iter().enumerate() {
        below += count;
        let edge = (i + 1) as f64 * 16.0 / BINS as f64 - 8.0;
        let exact = 0.5 + 0.5 * erf(edge / std::f64::consts::SQRT_2);
        distance = distance.max((below as f64 / n - exact).abs());
    }
    // sqrt(n) D is above 2.6 with a probability of 2 exp(-2 * 2.6^2) = 3e-6.
    let scaled = distance * n.sqrt();
    println!("Kolmogorov-Smirnov: D = {distance:.3e}, sqrt(n) D = {scaled:.3}");
    if !(scaled < 2.6) {
        failures.push(format!("Kolmogorov-Smirnov: sqrt(n) D = {scaled}"));
    }
    failures
}

#[test]
fn sixteen_million_normals() {
    for generator in [Generator::Philox10, Generator::Ars7] {
        let failures = check(generator, 64, |z| z);
        assert!(failures.is_empty(), "{generator:?}: {}", failures.join("\n"));
    }
}

/// The check detects a deviation that is off by one in a thousand, a mean of one in a thousand, and
/// cut tails.
#[test]
fn wrong_normals_are_seen() {
    assert!(!check(Generator::Philox10, 64, |z| z * 1.001).is_empty(), "a wrong deviation passes");
    assert!(!check(Generator::Philox10, 64, |z| z + 0.002).is_empty(), "a wrong mean passes");
    assert!(!check(Generator::Philox10, 64, |z| z.clamp(-4.0, 4.0)).is_empty(), "cut tails pass");
}

/// 2^32 normals, a minute on two cores:
/// `cargo test --release -p vdn-tensor --test all noise_quality -- --ignored --nocapture`
#[test]
#[ignore = "a minute: the command is in the documentation comment"]
fn four_billion_normals_of_philox() {
    let failures = check(Generator::Philox10, 1 << 14, |z| z);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The same test for the other generator.
#[test]
#[ignore = "a minute: the command is in the documentation comment"]
fn four_billion_normals_of_ars() {
    let failures = check(Generator::Ars7, 1 << 14, |z| z);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
