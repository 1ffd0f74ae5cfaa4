//! `ln(1 + e^x)` without overflow.
use super::{exp, polynomial};
use crate::simd::F32Lanes;

const TAIL: [f64; 10] = [-0.49999988079071045, 0.33332714438438416, -0.24988864362239838, 0.19899623095989227, -0.16135171055793762, 0.12479529529809952, -0.08323895186185837, 0.042114824056625366, -0.013691671192646027, 0.0020845443941652775];

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<L: F32Lanes>(x: L) -> L {
    let e = exp::not_above(-x.abs());
    (e * e).mul_add(polynomial(e, TAIL), x.max(x.lit(0.0))) + e
}
