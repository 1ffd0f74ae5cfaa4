//! The exponential together with its excess over its tangent, `[e^x, e^x - 1 - x]`, from one polynomial.
//!
//! The KL divergence of a Gaussian unit needs `e^d - 1 - d` near `d = 0`, where the difference of the three terms
//! cancels: evaluated as written in `f32` it is wrong by a factor of 50 at `|d| = 1e-4`.
//!
//! Method: `x = n ln 2 + f`, `|f| <= ln(2)/2` (Cody-Waite, two parts); `q = f^2 P(f)` with `P` of degree 5 (Remez
//! exchange for the relative error of `(e^f - 1 - f)/f^2`, 2^-28.5); then `e^x = 2^n (1 + f + q)`, and the excess is `q`
//! itself where `n = 0`, and `(e^x - 1) - x` elsewhere, where `|x| >= 0.34` and no more than three bits cancel.
//!
//! Domain: all numbers. `e^x` below 2^-126 is flushed to the smallest normal number, above `f32::MAX` it is infinite;
//! NaN gives NaN.

use super::polynomial;
use crate::simd::{F32Lanes, U32Lanes};

/// `1.5 * 2^23`: adding it rounds to the nearest integer and leaves that in the low bits.
const ROUND: f64 = 12_582_912.0;
/// ln 2 in two parts: the first has zeros at its end, so that `n` times it is exact.
const LN_2_HIGH: f64 = 0.693_359_375;
const LN_2_LOW: f64 = std::f64::consts::LN_2 - LN_2_HIGH;
/// `(e^f - 1 - f) / f^2` on `|f| <= ln(2)/2`.
const EXCESS: [f64; 6] = [
    0.500_000_001_341_966,
    0.166_666_665_319_637_7,
    0.041_666_465_125_282_41,
    0.008_333_360_769_983_11,
    0.001_393_364_232_258_236,
    0.000_198_578_154_997_123_3,
];

/// `[e^x, e^x - 1 - x]`.
#[inline(always)]
pub fn exp_with_excess<L: F32Lanes>(x: L) -> [L; 2] {
    let limited = x.clamp(x.lit(-87.336_54), x.lit(88.722_83));
    let t = limited.mul_add(x.lit(std::f64::consts::LOG2_E), x.lit(ROUND));
    let n = t - x.lit(ROUND);
    let f = n.mul_add(x.lit(-LN_2_HIGH), limited);
    let f = n.mul_add(x.lit(-LN_2_LOW), f);
    let q = polynomial(f, EXCESS) * (f * f);
    // 2^n in two factors: n reaches 128, whose own power of two is not a number.
    let bits = t.to_bits();
    let n_bits = bits - bits.lit(0x4b40_0000);
    let half = n_bits.shr_signed::<1>();
    let bias = bits.lit(127);
    let scale = (half + bias).shl::<23>().to_f32_bits();
    let rest = (n_bits - half + bias).shl::<23>().to_f32_bits();
    let e = ((f + q) + x.lit(1.0)) * scale * rest;
    let overflow = x.gt(x.lit(88.722_83));
    let e = L::select(overflow, x.lit(f64::INFINITY), e);
    let excess = L::select(n.abs().lt(x.lit(0.5)), q, (e - x.lit(1.0)) - x);
    [e, excess]
}
