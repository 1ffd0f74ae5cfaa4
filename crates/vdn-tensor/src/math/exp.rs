//! The exponential function `e^x`.
//!
//! Method: `x = n ln 2 + r` with `n` the nearest whole number to `x / ln 2`, so `|r| <= ln(2)/2`.
//! `e^r = 1 + r + r^2 Q(r)`, with `Q` of degree 4, is multiplied by `2^n`.
//!
//! The subtraction of `n ln 2` has two parts (Cody and Waite 1980), of which the first is exact.
//! The second enters `r`; it also enters the final sum, where the rounding of `r` would cost a
//! quarter of a unit. The factor `2^n` is applied in two steps, so that results beyond both ends of
//! the normal range are right.
//!
//! Special values: `e^x` is infinite from 88.722_84 on, subnormal below -87.336_54 and 0 below
//! -103.972_08; `e^0 = 1`, `e^-inf = 0`, `e^inf = inf`.
//!
//! Worst error: 0.88 ULP at -27.344316 with FMA, 0.90 ULP at -80.72644 without.

use super::polynomial;
use crate::simd::{F32Lanes, U32Lanes};

/// `e^x` rounds to 0 at this argument and below.
pub(super) const LOWEST: f64 = -104.0;
/// `e^x` is infinite at this argument and above.
pub(super) const HIGHEST: f64 = 89.0;
/// `1.5 * 2^23`: adding it rounds to the nearest whole number and leaves that number in the low
/// bits.
const ROUND: f64 = 12_582_912.0;
/// ln 2 in two parts. The first ends with zeros, so that `n` times it is exact.
const LN_2_HIGH: f64 = 0.693_359_375;
pub(super) const LN_2_LOW: f64 = std::f64::consts::LN_2 - LN_2_HIGH;
/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2`, weighted for the relative error of `e^r`: 2^-28.2.
const TAIL: [f64; 5] =
    [0.499_999_94, 0.166_665_211, 0.041_668_329_4, 0.008_368_704_47, 0.001_381_453_36];

/// `e^x`.
#[inline(always)]
pub fn exp<L: F32Lanes>(x: L) -> L {
    not_above(x.min(x.lit(HIGHEST)))
}

/// `e^x` for `x <= HIGHEST`.
#[inline(always)]
pub(super) fn not_above<L: F32Lanes>(x: L) -> L {
    let reduced = reduce(x.max(x.lit(LOWEST)), 254);
    let [a, b] = two_powers(reduced.t);
    reduced.exp() * a * b
}

/// `e^x` for `|x| <= 87`, where neither the result nor `2^n` leaves the normal range.
#[inline(always)]
pub(super) fn normal<L: F32Lanes>(x: L) -> L {
    let reduced = reduce(x, 127);
    reduced.exp() * reduced.t.to_bits().shl::<23>().to_f32_bits()
}

/// `x = n ln 2 + high + low`, `|high + low| <= ln(2)/2`.
pub(super) struct Reduced<L> {
    pub(super) n: L,
    pub(super) high: L,
    pub(super) low: L,
    /// `1.5 * 2^23 + n + bias`. Shifted left by 23, its bits are the bits of `2^(n + bias - 127)`.
    pub(super) t: L,
}

/// Splits `x`, `LOWEST <= x <= HIGHEST`.
#[inline(always)]
pub(super) fn reduce<L: F32Lanes>(x: L, bias: u32) -> Reduced<L> {
    let round = x.lit(ROUND + f64::from(bias));
    let t = x.mul_add(x.lit(std::f64::consts::LOG2_E), round);
    let n = t - round;
    Reduced { n, high: n.mul_add(x.lit(-LN_2_HIGH), x), low: n * x.lit(-LN_2_LOW), t }
}

impl<L: F32Lanes> Reduced<L> {
    /// `e^(high + low)`.
    #[inline(always)]
    fn exp(&self) -> L {
        let r = self.high + self.low;
        let tail = (r * r).mul_add(polynomial(r, TAIL), self.low);
        (self.high + tail) + r.lit(1.0)
    }
}

/// Returns two powers of two whose product is `2^(k - 254)`, for `t` = `1.5 * 2^23 + k`.
#[inline(always)]
pub(super) fn two_powers<L: F32Lanes>(t: L) -> [L; 2] {
    let t = t.to_bits();
    let half = t.shr::<1>();
    [half.shl::<23>().to_f32_bits(), (t - half).shl::<23>().to_f32_bits()]
}
