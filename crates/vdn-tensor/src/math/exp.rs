//! The exponential function.
use super::polynomial;
use crate::simd::{F32Lanes, U32Lanes};

/// `1.5 * 2^23 + 254`.
const ROUND: f64 = 12_582_912.0 + 254.0;

/// `e^x`.
#[inline(always)]
pub fn exp<L: F32Lanes>(x: L) -> L {
    let x = x.max(x.lit(-104.0)).min(x.lit(89.0));
    let t = x.mul_add(x.lit(std::f64::consts::LOG2_E), x.lit(ROUND));
    let n = t - x.lit(ROUND);
    let r = n.mul_add(x.lit(-0.693_359_375), x);
    let r = n.mul_add(x.lit(2.121_944_400_546_905_8e-4), r);
    let q = polynomial(r, [0.4999999403953552, 0.16666516661643982, 0.041668105870485306, 0.00836913101375103, 0.0013836415018886328]);
    let p = (r * r).mul_add(q, r) + x.lit(1.0);
    let t = t.to_bits();
    let half = t.shr::<1>();
    p * half.shl::<23>().to_f32_bits() * (t - half).shl::<23>().to_f32_bits()
}
