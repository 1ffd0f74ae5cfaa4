//! Kernels on every SIMD level of the machine, compared with oracles in `f64` and for any number of
//! threads.
//!
//! The level is a setting of the whole process, and these tests change it, so they are a separate
//! program.

mod conditional_kernel;
mod families;
mod kernels;
mod matmul;
mod unit_kernel;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the turn of a test that sets the level. A failed test does not stop the others.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
