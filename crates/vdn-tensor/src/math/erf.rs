//! The error function.
use super::{polynomial, with_sign_of};
use crate::simd::{F32Lanes, U32Lanes};

const NEAR: [f64; 6] = [
    0.128_379_166_126_251_22,
    -0.376_125_931_739_807_13,
    0.112_829_118_967_056_27,
    -0.026_809_535_920_619_965,
    0.005_061_881_616_711_616_5,
    -0.000_637_496_355_921_03,
];
const FAR: [f64; 6] = [
    -1.628_121_495_246_887_2,
    -0.917_082_011_699_676_5,
    -0.151_947_140_693_664_55,
    0.033_078_562_468_290_33,
    -0.004_655_431_490_391_493,
    0.000_310_803_094_180_300_83,
];
const EXP_2: [f64; 7] = [
    1.0,
    0.693_147_182_464_599_6,
    0.240_226_462_483_406_07,
    0.055_503_442_883_491_516,
    0.009_618_559_852_242_47,
    0.001_339_888_549_409_806_7,
    0.000_153_533_575_939_944_88,
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
