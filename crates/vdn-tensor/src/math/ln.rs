//! The natural logarithm.
use super::polynomial;
use crate::real::Mask;
use crate::simd::{F32Lanes, U32Lanes};

pub(super) const SQRT_HALF: u32 = 0x3f35_04f3;
const LN_2_HIGH: f64 = 0.693_359_375;
const LN_2_LOW: f64 = std::f64::consts::LN_2 - LN_2_HIGH;
const TAIL: [f64; 9] = [
    -0.499_999_880_790_710_45,
    0.333_333_253_860_473_63,
    -0.250_015_854_835_510_25,
    0.200_019_791_722_297_67,
    -0.166_090_816_259_384_16,
    0.141_818_180_680_274_96,
    -0.132_432_013_750_076_3,
    0.129_049_211_740_493_77,
    -0.076_217_755_675_315_86,
];

/// `ln(x)`.
#[inline(always)]
pub fn ln<L: F32Lanes>(x: L) -> L {
    let ordinary = x.ge(x.lit(f64::from(f32::MIN_POSITIVE))) & x.lt(x.lit(f64::INFINITY));
    if ordinary.all() {
        let [f, n] = split(x);
        join(f, n)
    } else {
        special(x)
    }
}

#[inline(always)]
fn special<L: F32Lanes>(x: L) -> L {
    let tiny = x.lt(x.lit(f64::from(f32::MIN_POSITIVE)));
    let scaled = L::select(tiny, x * x.lit(8_388_608.0), x);
    let [f, n] = split(scaled);
    let n = n - L::select(tiny, x.lit(23.0), x.lit(0.0));
    let y = join(f, n);
    let y = L::select(x.lt(x.lit(f64::INFINITY)), y, x);
    let y = L::select(x.lt(x.lit(0.0)), x.lit(f64::NAN), y);
    L::select(x.abs().le(x.lit(0.0)), x.lit(f64::NEG_INFINITY), y)
}

/// `ln(x)` for normal numbers.
#[inline(always)]
pub fn ln_unit<L: F32Lanes>(x: L) -> L {
    let [f, n] = split(x);
    let y = (f * f).mul_add(polynomial(f, TAIL), f);
    n.mul_add(x.lit(std::f64::consts::LN_2), y)
}

/// `x = (1 + f) 2^n`.
#[inline(always)]
fn split<L: F32Lanes>(x: L) -> [L; 2] {
    let bits = x.to_bits();
    let k = bits - bits.lit(SQRT_HALF);
    let m = bits - (k & bits.lit(0xff80_0000));
    [m.to_f32_bits() - x.lit(1.0), k.shr_signed::<23>().to_f32_signed()]
}

/// `ln(1 + f) + n ln 2`.
#[inline(always)]
pub(super) fn join<L: F32Lanes>(f: L, n: L) -> L {
    let y = (f * f).mul_add(polynomial(f, TAIL), n * f.lit(LN_2_LOW)) + f;
    n.mul_add(f.lit(LN_2_HIGH), y)
}
