//! The exponential together with its excess over its tangent at 0, `[e^x, e^x - 1 - x]`, from one polynomial.
//!
//! The KL divergence of a Gaussian unit needs `e^d - 1 - d` near `d = 0`, where the three terms cancel: evaluated
//! as written in `f32` it is wrong by a factor of 50 at `|d| = 1e-4`.
//!
//! Method: `x = n ln 2 + r` as in [`exp`] and `q = r^2 P(r)`, `P` of degree 5 with the relative error
//! of `q` as its weight. With `s = 2^n`, `e^x = s (1 + r + q)` and `e^x - 1 - x = s q + ((s - 1) r + (s - 1 - n
//! ln 2))`: both added terms vanish where `n = 0` and leave `q`; elsewhere the sum loses about two bits. All is
//! computed with `s/2`, since `2^128` is not a number, and doubled.
//!
//! Special values: the excess is infinite with `e^x` from 88.722_84 on, and `-1 - x` below -104.
//!
//! Worst error found, with and without FMA: 1.43 ULP at -87.26093. The worst cases of `e^x` are next to the
//! subnormal results.
//!
//! For the excess: worst error found: 2.03 ULP at -8.809976 with FMA, 2.03 ULP at -0.2546663 without.

use super::{exp, polynomial};
use crate::simd::F32Lanes;
use std::f64::consts::LN_2;

/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2`, its own relative error: 2^-27.6.
const EXCESS: [f64; 6] =
    [0.5, 0.166_666_672, 0.041_666_515_2, 0.008_333_289_06, 0.001_393_043_67, 0.000_198_518_901];

/// `[e^x, e^x - 1 - x]`.
#[inline(always)]
pub fn exp_with_excess<L: F32Lanes>(x: L) -> [L; 2] {
    let low_end = x.lit(exp::LOWEST);
    let limited = x.max(low_end).min(x.lit(exp::HIGHEST));
    let reduced = exp::reduce(limited, 253);
    let r = reduced.high + reduced.low;
    let q = r * r * polynomial(r, EXCESS);
    let [a, b] = exp::two_powers(reduced.t);
    let half = a * b;
    let e = (((q + reduced.low) + reduced.high) + x.lit(1.0)) * half;
    let less = half - x.lit(0.5);
    let line = less.mul_add(r, reduced.n.mul_add(x.lit(-0.5 * LN_2), less));
    let excess = q.mul_add(half, line);
    // Below the limit the straight line goes on.
    let beyond = low_end - x.min(low_end);
    [e + e, (excess + excess) + beyond]
}
