//! `e^x - 1` without cancellation near 0.
use super::polynomial;
use crate::simd::F32Lanes;

/// `e^x - 1`.
#[inline(always)]
pub fn exp_m1<L: F32Lanes>(x: L) -> L {
    let near = polynomial(
        x,
        [0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0, 1.0 / 40320.0],
    );
    let near = (x * x).mul_add(near, x);
    let near = L::select(x.abs().lt(x.lit(1e-4)), x, near);
    L::select(x.abs().lt(x.lit(0.5)), near, super::exp::exp(x) - x.lit(1.0))
}
