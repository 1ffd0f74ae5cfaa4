//! Prints a hash of the bits of every kernel's results, one result per line, to compare SIMD levels
//! and machines.
//!
//! The level is the one in use (`VDN_SIMD`, or the best of this machine); its name goes to standard
//! error. Standard output has to be the same on all levels with fused multiply-add:
//!
//! ```text
//! cargo build --release -p vdn-tensor --example level_digest
//! VDN_SIMD=avx2 target/release/examples/level_digest > avx2.txt
//! VDN_SIMD=avx512 target/release/examples/level_digest > avx512.txt
//! diff avx2.txt avx512.txt
//! ```
//!
//! With arguments, only the lines whose name starts with one of them are computed. The two files
//! may come from two machines. Lines of `f64`, and of mixtures in both types, also depend on the
//! functions of the standard library; the inputs, made from whole numbers, do not. The hash is
//! FNV-1a in 64 bits over the numbers as `f64`, little-endian. All NaN count as the same number,
//! because Rust, like IEEE 754, does not specify which of its bit patterns an operation returns.

mod elementwise;
mod mixtures;
mod noise;
mod products;
mod reductions;
mod rows;
mod units;

use std::fmt::Display;
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::simd::level;

fn main() {
    match level() {
        Ok(level) => eprintln!("level: {level}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
    let digest = Digest { wanted: std::env::args().skip(1).collect() };
    elementwise::lane_functions(&digest);
    everything::<f32>(&digest);
    everything::<f64>(&digest);
}

fn everything<T: Element>(digest: &Digest) {
    elementwise::lines::<T>(digest);
    noise::lines::<T>(digest);
    units::lines::<T>(digest);
    products::lines::<T>(digest);
    rows::lines::<T>(digest);
    reductions::lines::<T>(digest);
    mixtures::lines::<T>(digest);
}

/// Prints the hashes of the requested lines.
pub(crate) struct Digest {
    /// Beginnings of the names of lines; all lines if there are none.
    wanted: Vec<String>,
}

impl Digest {
    /// Computes and prints the lines of one case, unless nobody wants them: one for each named part
    /// of its result.
    pub(crate) fn case<T: Element, P: Display>(
        &self,
        name: impl Display,
        run: impl FnOnce() -> Vec<(P, Vec<T>)>,
    ) {
        let name = format!("{} {name}", T::NAME);
        if self.wanted.is_empty() || self.wanted.iter().any(|w| name.starts_with(w)) {
            for (part, x) in run() {
                println!("{:016x} {:8} {name}, {part}", hash(&x), x.len());
            }
        }
    }
}

/// FNV-1a, 64 bits.
fn hash<T: Element>(x: &[T]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for x in x {
        // Exact, and one to one but for NaN.
        let x = x.to_f64();
        let bits = if x.is_nan() { f64::NAN } else { x }.to_bits();
        for byte in bits.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// Numbers between -4 and 4, bell-shaped around 0, which depend on their place alone.
pub(crate) fn numbers<T: Element>(stream: u32, len: usize) -> Vec<T> {
    let number = |i: usize| {
        let words = NoiseKey::new(2, stream, 0).block(i as u32, 0);
        let sum: i64 = words.iter().map(|&w| i64::from(w as i32)).sum();
        T::from_f64(sum as f64 / 2_147_483_648.0)
    };
    (0..len).map(number).collect()
}

pub(crate) fn zeros<T: Element>(len: usize) -> Vec<T> {
    vec![T::ZERO; len]
}

/// Every 4099th bit pattern of `f32`, the neighbours of every power of two, of zero and of infinity
/// with both signs, and multiples of 1/4.
pub(crate) fn sweep() -> Vec<f32> {
    const STRIDE: u32 = 4099;
    let mut x: Vec<f32> = (0..u32::MAX / STRIDE).map(|i| f32::from_bits(i * STRIDE)).collect();
    for exponent in 0..512_u32 {
        x.extend((-16..=16).map(|k| f32::from_bits((exponent << 23).wrapping_add_signed(k))));
    }
    x.extend((-400..=400).map(|k| 0.25 * k as f32));
    x
}

/// The sweep as either type, rotated by `shift`.
pub(crate) fn sweep_of<T: Element>(shift: usize) -> Vec<T> {
    let mut x: Vec<T> = sweep().into_iter().map(|x| T::from_f64(f64::from(x))).collect();
    let shift = shift % x.len();
    x.rotate_left(shift);
    x
}
