//! Sine and cosine of a fraction of a turn: `sin(2 pi x)` and `cos(2 pi x)`.
//!
//! Angles in turns need no reduction by multiples of pi: their reduction is exact.
//!
//! * [`sin_cos_turn`], for `x` in `[-1/2, 1/2]`, serves for noise. It takes fifteen operations for
//!   both results and selects no octant. Let `a = |x|` and `w = a (1/2 - a)`, which is symmetric
//!   about a quarter. Then `sin(2 pi x) = x (1/2 - a) P(w)` and `cos(2 pi x) = (1/4 - a) R(w)`,
//!   with `P` and `R` of degree 4. The weight of the fits is the absolute error.
//! * [`sin_turn`] and [`cos_turn`] take any number. They subtract the nearest whole number, fold to
//!   `[0, 1/4]`, and select sine or cosine on `[0, 1/8]`. There
//!   `sin(2 pi q) = 6.28125 q + q P(q^2)` (the factor has eight bits, so that its product rounds
//!   little) and `cos(2 pi q) = R(q^2)`.
//!
//! Special values: the sine is 0 at every multiple of 1/2, with the sign of `x` at whole numbers.
//! The cosine is +0 at odd quarters. Both are NaN at infinity. From 2^23 on all numbers are whole.
//!
//! * For [`sin_turn`]: worst error: 1.06 ULP at -3.728642e-39 with FMA, 1.65 ULP at 0.082470894
//!   without.
//! * For [`cos_turn`]: worst error: 0.91 ULP at -0.12380221 with FMA, 1.65 ULP at 0.1675291
//!   without.
//! * For the sine of [`sin_cos_turn`]: worst error: 2.85 ULP at 0.24530284 with FMA, 2.99 ULP at
//!   -0.23942603 without.
//! * For its cosine: worst error: 2.28 ULP at 0.07838353 with FMA, 2.50 ULP at -0.23029958 without.
//!   Absolute errors: below 1.8e-7.

use super::{polynomial, with_sign_of};
use crate::simd::{F32Lanes, U32Lanes};

/// `sin(2 pi a) / w` in powers of `w = a (1/2 - a)`, on `[0, 1/16]`, weighted for the absolute
/// error: 2^-30.5 (Remez exchange; the leading coefficients were rounded one after the other).
const SIN: [f64; 5] = [12.566_371, 50.265_411_4, 71.394_828_8, 52.307_586_7, 25.190_557_5];
/// `cos(2 pi a) / (1/4 - a)` in powers of `w`, found in the same way: 2^-27.9.
const COS: [f64; 5] = [4.0, 31.999_990_5, 68.174_369_8, 66.669_509_9, 39.512_104];
/// `sin(2 pi q) / q - 6.28125` in powers of `q^2` on `[0, 1/8]`, weighted for the relative error of
/// the sine: 2^-28.0.
const SIN_EIGHTH: [f64; 4] = [0.001_935_285_05, -41.341_659_5, 81.592_231_8, -75.393_623_4];
/// `cos(2 pi q)` in powers of `q^2` on `[0, 1/8]`: 2^-28.9 relative.
const COS_EIGHTH: [f64; 5] = [1.0, -19.739_208_2, 64.939_292_9, -85.443_634, 59.229_221_3];

/// Returns `[sin, cos]` of `2 pi x` for `x` in `[-1/2, 1/2]`. `x` has to be 0 or at least 2^-100 in
/// magnitude. (Noise has multiples of 2^-32. Below the limit, a product of the sine may be
/// subnormal, and is then rounded.)
#[inline(always)]
pub fn sin_cos_turn<L: F32Lanes>(x: L) -> [L; 2] {
    let [result] = sin_cos_parts([x], 1.0);
    result
}

/// Does what [`sin_cos_turn`] does for `unit * x`, for several lane groups side by side. `unit` is
/// a power of two, so that it changes no rounding.
#[inline(always)]
pub fn sin_cos_parts<L: F32Lanes, const N: usize>(x: [L; N], unit: f64) -> [[L; 2]; N] {
    let (mut a, mut h, mut w) = (x, x, x);
    for i in 0..N {
        a[i] = x[i].abs();
        // h takes another factor of `unit`, which makes up for that of a.
        h[i] = a[i].mul_add(x[i].lit(-unit * unit), x[i].lit(0.5 * unit));
        w[i] = a[i] * h[i];
    }
    let (mut sin, mut cos) = (x, x);
    for i in 0..N {
        sin[i] = x[i].lit(SIN[4]).mul_add(w[i], x[i].lit(SIN[3]));
        cos[i] = x[i].lit(COS[4]).mul_add(w[i], x[i].lit(COS[3]));
    }
    for k in [2, 1, 0] {
        for i in 0..N {
            sin[i] = sin[i].mul_add(w[i], x[i].lit(SIN[k]));
            cos[i] = cos[i].mul_add(w[i], x[i].lit(COS[k]));
        }
    }
    let mut result = [[x[0]; 2]; N];
    for i in 0..N {
        let quarter = a[i].mul_add(x[i].lit(-unit), x[i].lit(0.25));
        result[i] = [x[i] * h[i] * sin[i], quarter * cos[i]];
    }
    result
}

/// Returns `a`, which is not negative, minus the nearest whole number: exact; NaN at infinity.
#[inline(always)]
#[expect(clippy::eq_op, reason = "0 for whole numbers, NaN for infinities and NaN")]
fn fraction<L: F32Lanes>(a: L) -> L {
    let big = a.lit(8_388_608.0);
    let n = (a + big) - big;
    L::select(a.lt(big), a - n, a - a)
}

/// Returns `sin(2 pi r)` for `r` in `[0, 1/4]`, or the cosine.
#[inline(always)]
fn quarter<L: F32Lanes>(r: L, cosine: bool) -> L {
    let near = r.le(r.lit(0.125));
    let q = L::select(near, r, r.lit(0.25) - r);
    let s = q * q;
    let sin = q.mul_add(q.lit(6.28125), q * polynomial(s, SIN_EIGHTH));
    let cos = polynomial(s, COS_EIGHTH);
    if cosine { L::select(near, cos, sin) } else { L::select(near, sin, cos) }
}

/// Returns `sin(2 pi x)` for any number of turns.
#[inline(always)]
pub fn sin_turn<L: F32Lanes>(x: L) -> L {
    let f = fraction(x.abs());
    let a = f.abs();
    let sign = (f.to_bits() ^ x.to_bits()).to_f32_bits();
    with_sign_of(quarter((x.lit(0.5) - a).min(a), false), sign)
}

/// Returns `cos(2 pi x)` for any number of turns.
#[inline(always)]
pub fn cos_turn<L: F32Lanes>(x: L) -> L {
    let a = fraction(x.abs()).abs();
    let y = quarter((x.lit(0.5) - a).min(a), true);
    with_sign_of(y, x.lit(0.25) - a)
}
