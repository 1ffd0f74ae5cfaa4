//! The hyperbolic tangent.
use super::{exp, polynomial, with_sign_of};
use crate::simd::F32Lanes;

const TAIL: [f64; 5] =
    [-0.333_333_164, 0.133_325_443, -0.053_847_547_6, 0.021_050_714, -0.006_242_848_93];

/// `tanh(x)`.
#[inline(always)]
pub fn tanh<L: F32Lanes>(x: L) -> L {
    let a = x.abs();
    let s = a * a;
    let near = a.mul_add(s * polynomial(s, TAIL), a);
    let b = a.min(x.lit(9.1));
    let far = x.lit(1.0) - x.lit(2.0) / (exp::normal(b + b) + x.lit(1.0));
    with_sign_of(L::select(a.lt(x.lit(0.55)), near, far), x)
}
