//! `ln(1 + e^x)` without overflow.
//!
//! Method: `max(x, 0) + ln(1 + e)` with `e = e^-|x|` in `[0, 1]`. There `ln(1 + e) = e + e^2 Q(e)`,
//! with `Q` of degree 9, so `e` need not be split into exponent and fraction. The correction is
//! added to `max(x, 0)` before `e` is, which keeps the intermediate sum small around `x = 0`.
//!
//! Special values: 0 at -inf, inf at inf; subnormal results below -87.3 are right.
//!
//! Worst error: 1.92 ULP at -0.45873743 with FMA, 2.09 ULP at 0.0015543551 without.

use super::{exp, polynomial};
use crate::simd::F32Lanes;

/// `(ln(1 + e) - e) / e^2` on `[0, 1]`, weighted for the relative error of `ln(1 + e)`: 2^-30.0
/// (Remez exchange; the leading coefficients were rounded one after the other).
const TAIL: [f64; 10] = [
    -0.499_999_881,
    0.333_327_144,
    -0.249_888_644,
    0.198_996_231,
    -0.161_351_711,
    0.124_795_295,
    -0.083_238_951_9,
    0.042_114_824_1,
    -0.013_691_671_2,
    0.002_084_544_39,
];

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<L: F32Lanes>(x: L) -> L {
    let e = exp::not_above(-x.abs());
    (e * e).mul_add(polynomial(e, TAIL), x.max(x.lit(0.0))) + e
}
