//! The natural logarithm.
use super::polynomial;
use crate::simd::{F32Lanes, U32Lanes};

/// `ln(x)`.
#[inline(always)]
pub fn ln<L: F32Lanes>(x: L) -> L {
    let tiny = x.lt(x.lit(f64::from(f32::MIN_POSITIVE)));
    let scaled = L::select(tiny, x * x.lit(8_388_608.0), x);
    let y = ln_unit(scaled);
    let y = L::select(tiny, y - x.lit(23.0 * std::f64::consts::LN_2), y);
    let y = L::select(x.lt(x.lit(f64::INFINITY)), y, x);
    let y = L::select(x.lt(x.lit(0.0)), x.lit(f64::NAN), y);
    L::select(x.abs().le(x.lit(0.0)), x.lit(f64::NEG_INFINITY), y)
}

/// `ln(x)` for normal numbers.
#[inline(always)]
pub fn ln_unit<L: F32Lanes>(x: L) -> L {
    let bits = x.to_bits();
    let k = bits - bits.lit(0x3f35_04f3);
    let m = (bits - (k.shr::<23>()).shl::<23>()).to_f32_bits();
    let n = k.shr_signed::<23>().to_f32_signed();
    let f = m - x.lit(1.0);
    let s = f / (m + x.lit(1.0));
    let s2 = s * s;
    let q = polynomial(s2, [2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0, 2.0 / 11.0]);
    let y = (s * s2).mul_add(q, s + s);
    n.mul_add(x.lit(std::f64::consts::LN_2), y)
}
