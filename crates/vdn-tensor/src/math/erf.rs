//! The error function.
use super::{polynomial, with_sign_of};
use crate::simd::{F32Lanes, U32Lanes};

const NEAR: [f64; 6] = [
    0.128_379_166,
    -0.376_125_932,
    0.112_829_119,
    -0.026_809_535_9,
    0.005_061_881_62,
    -0.000_637_496_356,
];
const FAR: [f64; 6] = [
    -1.628_121_5,
    -0.917_082_012,
    -0.151_947_141,
    0.033_078_562_5,
    -0.004_655_431_49,
    0.000_310_803_094,
];
const EXP_2: [f64; 7] = [
    1.0,
    0.693_147_182,
    0.240_226_462,
    0.055_503_442_9,
    0.009_618_559_85,
    0.001_339_888_55,
    0.000_153_533_576,
];
const ROUND: f64 = 12_582_912.0 + 127.0;

/// The error function.
#[inline(always)]
pub fn erf<L: F32Lanes>(x: L) -> L {
    let a = x.abs();
    let near = a.mul_add(polynomial(a * a, NEAR), a);
    let b = a.min(x.lit(3.95));
    let h = b * polynomial(b, FAR);
    let t = h + x.lit(ROUND);
    let f = h - (t - x.lit(ROUND));
    let p = polynomial(f, EXP_2) * t.to_bits().shl::<23>().to_f32_bits();
    let far = x.lit(1.0) - p;
    with_sign_of(L::select(a.lt(x.lit(0.843_75)), near, far), x)
}
