//! The hyperbolic tangent.
//!
//! Method: below 0.55 the odd polynomial `x + x^3 P(x^2)`, with `P` of degree 4. Above it
//! `1 - 2 / (e^(2x) + 1)`: the subtracted number is less than half, and its error shrinks with it.
//! The function is odd by construction; it is 1 from 9.011 on, and it keeps -0.
//!
//! Worst error: 1.42 ULP at 0.55651087 with FMA, 1.43 ULP at 0.56295604 without.

use super::{exp, polynomial, with_sign_of};
use crate::simd::F32Lanes;

/// The argument at which the formula changes.
const BORDER: f64 = 0.55;
/// `(tanh(x) - x) / x^3` in powers of `x^2`, weighted for the relative error of `tanh`: 2^-29.7.
const TAIL: [f64; 5] =
    [-0.333_333_164, 0.133_325_443, -0.053_847_547_6, 0.021_050_714, -0.006_242_848_93];

/// `tanh(x)`.
#[inline(always)]
pub fn tanh<L: F32Lanes>(x: L) -> L {
    let a = x.abs();
    let s = a * a;
    let near = a.mul_add(s * polynomial(s, TAIL), a);
    // tanh(9.1) rounds to 1.
    let b = a.min(x.lit(9.1));
    let far = x.lit(1.0) - x.lit(2.0) / (exp::normal(b + b) + x.lit(1.0));
    with_sign_of(L::select(a.lt(x.lit(BORDER)), near, far), x)
}
