//! The error function.
use super::polynomial;
use crate::simd::F32Lanes;

/// The error function.
#[inline(always)]
pub fn erf<L: F32Lanes>(x: L) -> L {
    // Series near 0, continued fraction of the complement beyond.
    let a = x.abs();
    let s = x * x;
    let near = polynomial(
        s,
        [
            1.0, -1.0 / 3.0, 1.0 / 10.0, -1.0 / 42.0, 1.0 / 216.0, -1.0 / 1320.0, 1.0 / 9360.0,
            -1.0 / 75600.0, 1.0 / 685_440.0, -1.0 / 6_894_720.0,
        ],
    ) * x * x.lit(std::f64::consts::FRAC_2_SQRT_PI);
    let b = a.min(x.lit(5.0));
    let mut f = b;
    let mut k = 20.0;
    while k > 0.0 {
        f = b + x.lit(k * 0.5) / f;
        k -= 1.0;
    }
    let far = x.lit(1.0) - super::exp::exp(-(b * b)) / (f * x.lit(1.772_453_850_905_516));
    let far = L::select(x.lt(x.lit(0.0)), -far, far);
    L::select(a.lt(x.lit(1.2)), near, far)
}
