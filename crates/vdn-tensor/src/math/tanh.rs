//! The hyperbolic tangent.
use crate::simd::F32Lanes;

/// `tanh(x)`.
#[inline(always)]
pub fn tanh<L: F32Lanes>(x: L) -> L {
    let limited = x.max(x.lit(-10.0)).min(x.lit(10.0));
    let e = super::exp_m1::exp_m1(limited + limited);
    L::select(x.abs().lt(x.lit(1e-4)), x, e / (e + x.lit(2.0)))
}
