//! `ln(1 + e^x)` without overflow.
use crate::simd::F32Lanes;

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<L: F32Lanes>(x: L) -> L {
    let e = super::exp::exp(-x.abs());
    x.max(x.lit(0.0)) + super::ln_1p::ln_1p(e)
}
