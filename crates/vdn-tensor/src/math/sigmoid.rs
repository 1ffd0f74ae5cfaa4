//! The logistic function `1 / (1 + e^-x)`.
//!
//! Method: let `e = e^-|x|`, which cannot overflow, and `q = e / (1 + e)`. The result is `1 - q`
//! for `x >= 0` and `e (1 - q)` below 0. (Below 0 it equals `q`, but the rounding of `1 + e` would
//! cost a whole unit.) Both are `c (1 - q)`, evaluated as `c - c q`.
//!
//! Special values: 0 at -inf, 1 at inf, 1/2 at 0; subnormal results below -87.3 are right.
//!
//! Worst error: 1.65 ULP at -1.1101286 with FMA, 1.81 ULP at -1.1086378 without.

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
