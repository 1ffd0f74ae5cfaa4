//! The exponential and its excess over its tangent at 0, `[e^x, e^x - 1 - x]`, from one polynomial.
//!
//! The KL divergence of a Gaussian unit needs `e^d - 1 - d` near `d = 0`, where the three terms
//! cancel. Evaluated as written in `f32` it is wrong by a factor of 50 at `|d| = 1e-4`.
//!
//! Method: `x = n ln 2 + r` as in [`exp`], and `q = r^2 P(r)` with `P` of degree 5, fitted with the
//! relative error of `q` as its weight. With `s = 2^n`, `e^x = s (1 + r + q)` and
//! `e^x - 1 - x = s q + ((s - 1) r + (s - 1 - n ln 2))`. Both added terms vanish for `n = 0` and
//! leave `q`. Elsewhere the sum loses about two bits.
//!
//! Domain: `|x| <= 80`, where no power of two leaves the normal range. (A unit's `x` is half its
//! limited log-variance, between -9.3 and 2.4.) NaN gives NaN. Beyond the domain the results are
//! unspecified.
//!
//! Worst error: 0.96 ULP at -27.346184 with FMA, 0.96 ULP at -71.03394 without.
//!
//! For the excess: worst error: 2.04 ULP at -8.809985 with FMA, 2.07 ULP at -0.18149292 without.
use super::{exp, polynomial};
use crate::simd::{F32Lanes, U32Lanes};
use std::f64::consts::LN_2;

/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2`, weighted for its own relative error: 2^-27.6.
const EXCESS: [f64; 6] =
    [0.5, 0.166_666_672, 0.041_666_515_2, 0.008_333_289_06, 0.001_393_043_67, 0.000_198_518_901];

/// `[e^x, e^x - 1 - x]` for `|x| <= 80`.
#[inline(always)]
pub fn exp_with_excess<L: F32Lanes>(x: L) -> [L; 2] {
    let exp::Reduced { n, high, t, .. } = exp::reduce(x, 127);
    let r = n.mul_add(x.lit(-exp::LN_2_LOW), high);
    let q = r * r * polynomial(r, EXCESS);
    let s = t.to_bits().shl::<23>().to_f32_bits();
    let less = s - x.lit(1.0);
    let line = less.mul_add(r, n.mul_add(x.lit(-LN_2), less));
    [s.mul_add(r + q, s), q.mul_add(s, line)]
}
