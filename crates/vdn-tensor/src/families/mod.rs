//! The families of distributions a unit can have: one file each, mathematics only.
//!
//! A formula is written once over [`Real`](crate::Real); production evaluates it on SIMD lanes, tests on `f64` and on
//! [`Dual`](crate::Dual) numbers.

pub mod gaussian;
