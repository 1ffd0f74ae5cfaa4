//! The logistic function.
use crate::simd::F32Lanes;

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<L: F32Lanes>(x: L) -> L {
    let e = super::exp::exp(-x.abs());
    let d = e + x.lit(1.0);
    L::select(x.lt(x.lit(0.0)), e, x.lit(1.0)) / d
}
