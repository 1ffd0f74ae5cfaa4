//! The logistic function.
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
