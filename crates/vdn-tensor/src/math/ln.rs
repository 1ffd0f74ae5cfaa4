//! The natural logarithm.
//!
//! Method: `x = 2^n (1 + f)` with `1 + f` in `[sqrt(1/2), sqrt(2))`, found by integer arithmetic on
//! the bits. `ln(1 + f) = f + f^2 Q(f)`, with `Q` of degree 8, is added to `n ln 2`. There is no
//! division.
//!
//! In [`ln`], ln 2 has two parts. The first ends with zeros, so that `n` times it is exact, also
//! without fused multiply-add. In [`ln_unit`] it has one part, because the nearest `f32` to ln 2
//! happens to be right to 2^-28.
//!
//! Special values: `ln(0) = -inf` for both zeros, NaN below 0, `ln(inf) = inf`. Subnormal numbers
//! are scaled by 2^23. All lanes are checked for special values at once, and only lane groups that
//! contain one pay for it.
//!
//! Worst error: 0.88 ULP at 1.2743293 with FMA, 0.91 ULP at 0.7066719 without.
//!
//! For [`ln_unit`]: worst error: 0.94 ULP at 0.63565737 with FMA, 1.08 ULP at 0.7067749 without.

use super::polynomial;
use crate::real::Mask;
use crate::simd::{F32Lanes, U32Lanes};

/// The bits of sqrt(1/2).
pub(super) const SQRT_HALF: u32 = 0x3f35_04f3;
/// ln 2 in two parts. The first ends with zeros, so that `n` times it is exact.
const LN_2_HIGH: f64 = 0.693_359_375;
const LN_2_LOW: f64 = std::f64::consts::LN_2 - LN_2_HIGH;
/// `(ln(1 + f) - f) / f^2` for `1 + f` in `[sqrt(1/2), sqrt(2)]`, weighted for the relative error
/// of `ln(1 + f)`: 2^-27.7.
const TAIL: [f64; 9] = [
    -0.499_999_881,
    0.333_333_254,
    -0.250_015_855,
    0.200_019_792,
    -0.166_090_816,
    0.141_818_181,
    -0.132_432_014,
    0.129_049_212,
    -0.076_217_755_7,
];

/// `ln(x)`.
#[inline(always)]
pub fn ln<L: F32Lanes>(x: L) -> L {
    let [f, n] = split(x);
    let y = join(f, n);
    let least = x.lit(f64::from(f32::MIN_POSITIVE));
    if (x.ge(least) & x.lt(x.lit(f64::INFINITY))).all() {
        return y;
    }
    let [f, n] = split(x * x.lit(8_388_608.0));
    let y = L::select(x.lt(least), join(f, n - x.lit(23.0)), y);
    let y = L::select(x.lt(x.lit(f64::INFINITY)), y, x);
    let y = L::select(x.le(x.lit(0.0)), x.lit(f64::NEG_INFINITY), y);
    L::select(x.lt(x.lit(0.0)), x.lit(f64::NAN), y)
}

/// Returns `ln(x)` for `x` in `(0, 1]`. Only normal numbers are valid; special values are not
/// checked.
#[inline(always)]
pub fn ln_unit<L: F32Lanes>(x: L) -> L {
    let [y] = minus_two_ln_unit([x]);
    // Adds 0, so that ln(1) is +0.
    y * x.lit(-0.5) + x.lit(0.0)
}

/// Returns `-2 ln(x)`, exactly minus twice [`ln_unit`], for several lane groups side by side, so
/// that their latencies overlap.
#[inline(always)]
pub fn minus_two_ln_unit<L: F32Lanes, const N: usize>(x: [L; N]) -> [L; N] {
    let (mut f, mut square, mut n) = (x, x, x);
    for i in 0..N {
        let bits = x[i].to_bits();
        let k = bits - bits.lit(SQRT_HALF);
        let m = (bits - (k & bits.lit(0xff80_0000))).to_f32_bits();
        // -2 f, exactly; the coefficients are scaled by powers of -1/2 accordingly.
        f[i] = m.mul_add(m.lit(-2.0), m.lit(2.0));
        square[i] = f[i] * f[i];
        n[i] = k.shr_signed::<23>().to_f32_signed();
    }
    // Even and odd powers are summed separately: half the latency of a single Horner scheme, with
    // the same number of operations.
    let (mut even, mut odd) = (x, x);
    for i in 0..N {
        even[i] = x[i].lit(UNIT[8]).mul_add(square[i], x[i].lit(UNIT[6]));
        odd[i] = x[i].lit(UNIT[7]).mul_add(square[i], x[i].lit(UNIT[5]));
    }
    for k in [4, 2] {
        for i in 0..N {
            even[i] = even[i].mul_add(square[i], x[i].lit(UNIT[k]));
            odd[i] = odd[i].mul_add(square[i], x[i].lit(UNIT[k - 1]));
        }
    }
    let mut y = x;
    for i in 0..N {
        even[i] = even[i].mul_add(square[i], x[i].lit(UNIT[0]));
        let tail = odd[i].mul_add(f[i], even[i]);
        let fraction = square[i].mul_add(tail, f[i]);
        y[i] = n[i].mul_add(x[i].lit(-2.0 * std::f64::consts::LN_2), fraction);
    }
    y
}

/// The coefficients [`TAIL`] for `-2 f` instead of `f`, and for minus twice the logarithm.
const UNIT: [f64; 9] = {
    let (mut unit, mut power, mut k) = ([0.0; 9], -0.5, 0);
    while k < 9 {
        unit[k] = TAIL[k] * power;
        power *= -0.5;
        k += 1;
    }
    unit
};

/// Returns `[f, n]` with `x = (1 + f) 2^n`, for a normal number `x`.
#[inline(always)]
fn split<L: F32Lanes>(x: L) -> [L; 2] {
    let bits = x.to_bits();
    let k = bits - bits.lit(SQRT_HALF);
    let m = bits - (k & bits.lit(0xff80_0000));
    [m.to_f32_bits() - x.lit(1.0), k.shr_signed::<23>().to_f32_signed()]
}

/// Returns `ln(1 + f) + n ln 2`.
#[inline(always)]
pub(super) fn join<L: F32Lanes>(f: L, n: L) -> L {
    let y = (f * f).mul_add(polynomial(f, TAIL), n * f.lit(LN_2_LOW)) + f;
    n.mul_add(f.lit(LN_2_HIGH), y)
}
