//! The logistic function `1 / (1 + e^-x)`.
//!
//! From `e^-|x|`, which cannot overflow.
//!
//! Worst error: at most 2 ULP, on all levels; `tests/math_accuracy.rs` holds it over a sweep of all floats, subnormals
//! and special values among them.

use super::exp;
use crate::simd::F32Lanes;

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<L: F32Lanes>(x: L) -> L {
    let e = exp::not_above(-x.abs());
    let minus_q = e / (x.lit(-1.0) - e);
    let c = L::select(x.lt(x.lit(0.0)), e, x.lit(1.0));
    c.mul_add(minus_q, c)
}
