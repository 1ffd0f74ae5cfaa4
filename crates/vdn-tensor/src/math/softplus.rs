//! `ln(1 + e^x)` without overflow.
use super::{exp, polynomial};
use crate::simd::F32Lanes;

const TAIL: [f64; 10] = [
    -0.499_999_881,
    0.333_327_144,
    -0.249_888_644,
    0.198_996_231,
    -0.161_351_711,
    0.124_795_295,
    -0.083_238_951_9,
    0.042_114_824_1,
    -0.013_691_671_2,
    0.002_084_544_39,
];

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<L: F32Lanes>(x: L) -> L {
    let e = exp::not_above(-x.abs());
    (e * e).mul_add(polynomial(e, TAIL), x.max(x.lit(0.0))) + e
}
