//! `e^x - 1` without cancellation near 0.
//!
//! The same reduction as that of [`exp`](mod@super::exp), with the 1 taken out before the scaling. `exp_m1(-0) = -0`.
//!
//! Worst error: at most 2 ULP, on all levels; `tests/math_accuracy.rs` holds it over a sweep of all floats, subnormals
//! and special values among them.

use super::{exp, polynomial};
use crate::simd::{F32Lanes, U32Lanes};

/// `(e^r - 1 - r) / r^2` on `|r| <= ln(2)/2`, weighted for the relative error of `e^r - 1`: 2^-30.8.
const TAIL: [f64; 6] =
    [0.5, 0.166_666_657, 0.041_666_481_6, 0.008_333_489_3, 0.001_393_370_8, 0.000_198_240_305];

/// `e^x - 1`.
#[inline(always)]
pub fn exp_m1<L: F32Lanes>(x: L) -> L {
    let limited = x.max(x.lit(-20.0)).min(x.lit(exp::HIGHEST));
    let reduced = exp::reduce(limited, 126);
    let r = reduced.high + reduced.low;
    let half = reduced.t.to_bits().shl::<23>().to_f32_bits();
    let tail = r * r * polynomial(r, TAIL);
    let y = tail.mul_add(half, r.mul_add(half, half - x.lit(0.5)));
    L::select(x.abs().lt(x.lit(1e-9)), x, y + y)
}
