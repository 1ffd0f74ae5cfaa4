//! `ln(1 + x)` without cancellation near 0.
use crate::simd::F32Lanes;

/// `ln(1 + x)`.
#[inline(always)]
pub fn ln_1p<L: F32Lanes>(x: L) -> L {
    let one = x.lit(1.0);
    let u = x + one;
    let y = super::ln::ln(u);
    let corrected = y + (x - (u - one)) / u;
    let finite = u.lt(x.lit(f64::INFINITY)) & u.gt(x.lit(0.0));
    let y = L::select(finite, corrected, y);
    L::select(x.abs().lt(x.lit(1e-7)), x, y)
}
