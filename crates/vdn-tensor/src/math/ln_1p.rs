//! `ln(1 + x)` without cancellation near 0.
//!
//! Method: `u = 1 + x` is rounded, and the part lost by rounding is recovered exactly. With
//! `u = 2^n m` as in [`ln`], the lost part, scaled by `2^-n`, is added to `m - 1`; then the
//! polynomial of `ln` is used. For small `x` the sum returns `x`.
//!
//! Special values: -inf at -1, NaN below. From 2^100 on the result is `ln(x)`, which is the same
//! number. The sign of -0 is kept.
//!
//! Worst error: 1.46 ULP at 0.41435453 with FMA, 1.52 ULP at 0.44343272 without.

use super::{ln, with_sign_of};
use crate::real::Mask;
use crate::simd::{F32Lanes, U32Lanes};

/// 2^100, from which adding 1 has no effect.
const LARGE: f64 = 1.267_650_600_228_229_4e30;

/// `ln(1 + x)`.
#[inline(always)]
pub fn ln_1p<L: F32Lanes>(x: L) -> L {
    let y = ordinary(x);
    if (x.gt(x.lit(-1.0)) & x.lt(x.lit(LARGE))).all() {
        return y;
    }
    let y = L::select(x.lt(x.lit(LARGE)), y, ln::ln(x));
    let y = L::select(x.le(x.lit(-1.0)), x.lit(f64::NEG_INFINITY), y);
    L::select(x.lt(x.lit(-1.0)), x.lit(f64::NAN), y)
}

/// Returns the result for `-1 < x < LARGE`.
#[inline(always)]
fn ordinary<L: F32Lanes>(x: L) -> L {
    let one = x.lit(1.0);
    let large = x.max(one);
    let small = x.min(one);
    let u = large + small;
    // Exact: the larger term comes first (Dekker 1971).
    let lost = small - (u - large);
    let bits = u.to_bits();
    let k = bits - bits.lit(ln::SQRT_HALF);
    let power = k & bits.lit(0xff80_0000);
    let m = (bits - power).to_f32_bits();
    let scale = (one.to_bits() - power).to_f32_bits();
    let f = lost.mul_add(scale, m - one);
    with_sign_of(ln::join(f, k.shr_signed::<23>().to_f32_signed()), x)
}
