//! Sine and cosine of a fraction of a turn.
use super::polynomial;
use crate::simd::F32Lanes;
use std::f64::consts::TAU;

/// `[sin, cos]` of `2 pi x` for `x` in `[-1/2, 1/2]`.
#[inline(always)]
pub fn sin_cos_turn<L: F32Lanes>(x: L) -> [L; 2] {
    let a = x.abs();
    let r = L::select(a.lt(x.lit(0.25)), a, x.lit(0.5) - a) * x.lit(TAU);
    let sin = kernel(r);
    let sin = L::select(x.lt(x.lit(0.0)), -sin, sin);
    [sin, kernel((x.lit(0.25) - a) * x.lit(TAU))]
}

#[inline(always)]
fn kernel<L: F32Lanes>(r: L) -> L {
    let s = r * r;
    polynomial(
        s,
        [1.0, -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362_880.0, -1.0 / 39_916_800.0],
    ) * r
}

/// `x` minus the nearest whole number.
#[inline(always)]
fn fraction<L: F32Lanes>(x: L) -> L {
    let big = x.lit(8_388_608.0);
    let a = x.abs();
    let n = (a + big) - big;
    let f = L::select(a.lt(big), a - n, a - a);
    L::select(x.lt(x.lit(0.0)), -f, f)
}

/// `sin(2 pi x)`.
#[inline(always)]
pub fn sin_turn<L: F32Lanes>(x: L) -> L {
    sin_cos_turn(fraction(x))[0]
}

/// `cos(2 pi x)`.
#[inline(always)]
pub fn cos_turn<L: F32Lanes>(x: L) -> L {
    sin_cos_turn(fraction(x))[1]
}
