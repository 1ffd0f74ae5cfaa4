//! The error function `2/sqrt(pi) * integral of e^(-t^2) from 0 to x`.
//!
//! Method: below 0.84375 the odd polynomial `x + x P(x^2)`, with `P` of degree 5. Above it
//! `1 - 2^(x H(x))`, where `x H(x)`, with `H` of degree 5, approximates the binary logarithm of the
//! complement (Juffa's idea), and the power is split at the nearest whole number. The function is
//! odd by construction; it is 1 from 3.92 on, and it keeps -0.
//!
//! Worst error: 1.33 ULP at -0.8475907 with FMA, 1.38 ULP at -0.84746957 without.

use super::{polynomial, with_sign_of};
use crate::simd::{F32Lanes, U32Lanes};

/// The argument at which the formula changes.
const BORDER: f64 = 0.843_75;
/// `(erf(x) - x) / x` in powers of `x^2`, weighted for the relative error of `erf`: 2^-27.2 (Remez
/// exchange; the leading coefficients were rounded one after the other).
const NEAR: [f64; 6] = [
    0.128_379_166,
    -0.376_125_932,
    0.112_829_119,
    -0.026_809_535_9,
    0.005_061_881_62,
    -0.000_637_496_356,
];
/// `log2(1 - erf(x)) / x` on `[0.84375, 3.95]`, weighted for the absolute error of `erf`: 2^-28.2
/// (found in the same way as `NEAR`).
const FAR: [f64; 6] = [
    -1.628_121_5,
    -0.917_082_012,
    -0.151_947_141,
    0.033_078_562_5,
    -0.004_655_431_49,
    0.000_310_803_094,
];
/// `2^f` on `[-1/2, 1/2]`: 2^-27.5 relative. Less than a quarter of this error reaches the result.
const EXP_2: [f64; 7] = [
    1.0,
    0.693_147_182,
    0.240_226_462,
    0.055_503_442_9,
    0.009_618_559_85,
    0.001_339_888_55,
    0.000_153_533_576,
];
/// `1.5 * 2^23 + 127`: adding it rounds to the nearest whole number `n`; the last bits are then
/// `n + 127`, the exponent of `2^n`.
const ROUND: f64 = 12_582_912.0 + 127.0;

/// The error function.
#[inline(always)]
pub fn erf<L: F32Lanes>(x: L) -> L {
    let a = x.abs();
    let near = a.mul_add(polynomial(a * a, NEAR), a);
    // erf(3.95) rounds to 1.
    let b = a.min(x.lit(3.95));
    let h = b * polynomial(b, FAR);
    let t = h + x.lit(ROUND);
    let f = h - (t - x.lit(ROUND));
    let p = polynomial(f, EXP_2) * t.to_bits().shl::<23>().to_f32_bits();
    let far = x.lit(1.0) - p;
    with_sign_of(L::select(a.lt(x.lit(BORDER)), near, far), x)
}
