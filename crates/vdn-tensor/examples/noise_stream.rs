//! Writes the random words behind the noise to standard output, for test batteries that read raw
//! numbers:
//!
//! ```text
//! cargo run --release -p vdn-tensor --example noise_stream -- elements | dieharder -a -g 200
//! ```
//!
//! The argument selects the part of the address that varies fastest: `elements` of one tensor,
//! `samples`, `steps`, `streams` or `seeds` (sixteen columns of four rows each), or `training`
//! (four samples of 64x128 units in three layers, step after step). A generator whose outputs at
//! neighbouring addresses depend on each other fails in one of them. A second argument `ars`
//! selects ARS-7 in place of Philox.

use std::io::{BufWriter, ErrorKind, Write};
use vdn_tensor::dispatch;
use vdn_tensor::noise::{Generator, NoiseKey, Rounds};
use vdn_tensor::simd::{Simd, U32Lanes};

/// The four rows of sixteen columns of a tile, from position `first` on, in the order of the
/// kernels.
fn write_tile(to: &mut impl Write, key: NoiseKey, sample: u32, first: u32) -> std::io::Result<()> {
    let mut words = [[0; 16]; 4];
    let rounds = key.rounds();
    dispatch!(simd => tile(simd, &rounds, first, sample, &mut words));
    words.as_flattened().iter().try_for_each(|word| to.write_all(&word.to_le_bytes()))
}

#[inline(always)]
fn tile<S: Simd>(simd: S, rounds: &Rounds, first: u32, sample: u32, words: &mut [[u32; 16]; 4]) {
    for (to, row) in words.iter_mut().zip(rounds.words(simd, first, sample)) {
        row.store(to);
    }
}

fn run(order: &str, generator: Generator, to: &mut impl Write) -> std::io::Result<()> {
    let key = |seed, stream, step| NoiseKey::new(seed, stream, step).with_generator(generator);
    for i in 0..u32::MAX {
        match order {
            "elements" => write_tile(to, key(1, 0, 0), i >> 28, i << 4)?,
            "samples" => write_tile(to, key(1, 0, 0), i, 0)?,
            "steps" => write_tile(to, key(1, 0, i), 0, 0)?,
            "streams" => write_tile(to, key(1, i, 0), 0, 0)?,
            "seeds" => write_tile(to, key(u64::from(i), 0, 0), 0, 0)?,
            "training" => {
                for (stream, sample) in (0..12).map(|k| (k / 4, k % 4)) {
                    for first in (0..64 / 4 * 128).step_by(16) {
                        write_tile(to, key(1, stream, i), sample, first)?;
                    }
                }
            }
            _ => {
                let message = format!("{order}: not an order, see the head of this file");
                return Err(std::io::Error::new(ErrorKind::InvalidInput, message));
            }
        }
    }
    Ok(())
}

fn main() {
    let order = std::env::args().nth(1).unwrap_or_else(|| "elements".to_owned());
    let generator = match std::env::args().nth(2).as_deref() {
        None | Some("philox") => Generator::Philox10,
        Some("ars") => Generator::Ars7,
        Some(other) => {
            eprintln!("noise_stream: {other}: not a generator, philox or ars");
            std::process::exit(2);
        }
    };
    let mut to = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    match run(&order, generator, &mut to) {
        // The reader closed the pipe.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            eprintln!("noise_stream: {error}");
            std::process::exit(2);
        }
        Ok(()) => {}
    }
}
