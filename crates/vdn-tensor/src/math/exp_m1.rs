//! `e^x - 1` without cancellation near 0.
//!
//! Method: `x = n ln 2 + r` as in [`exp`]. With `s = 2^n` and `e^r = 1 + r + r^2 Q(r)`, `Q` of
//! degree 5, the result is `e^x - 1 s r^2 Q(r) + (s r + (s - 1))`. The inner bracket is exact for
//! `|n| <= 1`, where it cancels. For `n = 0` it is `r = x` itself. All terms are computed with
//! `s/2`, because `2^128` is not a number, and then doubled.
//!
//! Special values: below 1e-9 in magnitude the result is `x`, so -0 and subnormal numbers are
//! returned unchanged. It is infinite from 88.722_84 on, and -1 below -17.4; `-inf` gives -1.
//!
//! Worst error: 1.26 ULP at 15.651983 with FMA, 1.26 ULP at 17.098148 without.
//!
//! For [`exp_m1_and_power`]: worst error: 1.32 ULP at 70.35476 with FMA, 1.32 ULP at 15.620681
//! without.

use super::{exp, polynomial, polynomial_by_halves};
use crate::simd::{F32Lanes, U32Lanes};

/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2`, weighted for the relative error of `e^r - 1`:
/// 2^-30.8.
const TAIL: [f64; 6] =
    [0.5, 0.166_666_657, 0.041_666_481_6, 0.008_333_489_3, 0.001_393_370_8, 0.000_198_240_305];

/// `e^x - 1`.
#[inline(always)]
pub fn exp_m1<L: F32Lanes>(x: L) -> L {
    let limited = x.max(x.lit(-20.0)).min(x.lit(exp::HIGHEST));
    let reduced = exp::reduce(limited, 126);
    let r = reduced.high + reduced.low;
    let half = reduced.t.to_bits().shl::<23>().to_f32_bits();
    let tail = r * r * polynomial(r, TAIL);
    let y = tail.mul_add(half, r.mul_add(half, half - x.lit(0.5)));
    L::select(x.abs().lt(x.lit(1e-9)), x, y + y)
}

/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2` as in [`exp`], one degree lower: 2^-28.2 of `e^r`.
const SHORT_TAIL: [f64; 5] =
    [0.499_999_94, 0.166_665_211, 0.041_668_329_4, 0.008_368_704_47, 0.001_381_453_36];

/// Returns `e^x - 1`, and a power of two within a factor `sqrt(2)` (and a rounding) of `e^x`, for
/// `|x| <= 80`. It takes two thirds of the operations. The sign of zero is lost. NaN gives NaN.
/// Beyond the domain the results are unspecified.
#[inline(always)]
pub fn exp_m1_and_power<L: F32Lanes>(x: L) -> [L; 2] {
    let exp::Reduced { n, high, t, .. } = exp::reduce(x, 127);
    let r = n.mul_add(x.lit(-exp::LN_2_LOW), high);
    let s = t.to_bits().shl::<23>().to_f32_bits();
    let square = r * r;
    let tail = square * polynomial_by_halves(r, square, SHORT_TAIL);
    let y = tail.mul_add(s, r.mul_add(s, s - x.lit(1.0)));
    [y, s]
}
