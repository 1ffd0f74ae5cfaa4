//! The kernels against naive oracles in `f64`, on every SIMD level, and the same bits for any
//! number of threads.
//!
//! One test loops over the levels; each module holds the cases of one kind of kernel.

mod adjoints;
mod cases;
mod maps;
mod reductions;
mod rows;
mod threads;

use crate::turn;
use cases::Report;
use vdn_tensor::simd::{available, set_level};

#[test]
fn every_kernel_on_every_level() {
    let _turn = turn();
    let mut report = Report::default();
    for level in available() {
        set_level(level).unwrap();
        report.level = level.name();
        println!("level {level}");
        maps::check::<f32>(&mut report);
        maps::check::<f64>(&mut report);
        reductions::check::<f32>(&mut report);
        reductions::check::<f64>(&mut report);
        rows::check::<f32>(&mut report);
        rows::check::<f64>(&mut report);
        adjoints::check(&mut report);
        threads::check::<f32>(&mut report);
        threads::check::<f64>(&mut report);
    }
    report.finish();
}
