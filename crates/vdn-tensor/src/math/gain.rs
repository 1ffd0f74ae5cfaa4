//! The gain `g = sigmoid(x)` of a Gaussian message, its complement `1 - g`, and `-ln(1 - g) - g`:
//! the cost in a divergence of a posterior that is narrower than its prior.
//!
//! Method: with `t = e^-|x|` the smaller of `g` and `1 - g` is `p = t/(1 + t)`, and the larger is
//! `1/(1 + t)`. Let `ln(1 + t) - p t^2 Q(t)` with `Q` of degree 9. This is the result for `x < 0`,
//! where `g = p`. For `x >= 0` the result is `-ln(1 - g) - g = t^2 Q(t) + x + (2p - 1)`. The method
//! takes one exponential and one division, and no logarithm.
//!
//! Special values: `p` is 0 from 87 away from 0 on, so a message without information has the gain 0
//! and costs 0. NaN gives NaN.
//!
//! Worst error: 3 ULP for the first two (`exp`, a sum, a quotient, a product), 8 ULP for the third
//! (relative 4.8e-7, near `x = 0` where the polynomial's terms alternate).

use super::{exp, polynomial_by_halves};
use crate::simd::F32Lanes;

/// Beyond this argument `e^-|x|` counts as 0.
const FAR: f64 = 87.0;
/// `(ln(1 + t) - t/(1 + t)) / t^2` on `[0, 1]`: relative error 2^-23.4.
const TAIL: [f64; 10] = [
    0.499_999_97,
    -0.666_658_044,
    0.749_714_136,
    -0.796_224_356,
    0.807_177_663,
    -0.748_313_665,
    0.579_693_556,
    -0.332_172_96,
    0.119_865_835,
    -0.019_934_957_8,
];

/// `[g, 1 - g, -ln(1 - g) - g]`.
#[inline(always)]
pub fn gain<L: F32Lanes>(x: L) -> [L; 3] {
    let (zero, one) = (x.lit(0.0), x.lit(1.0));
    let distance = x.abs().min(x.lit(FAR));
    let t = exp::normal(-distance);
    let large = one / (one + t);
    let small = L::select(distance.lt(x.lit(FAR)), t * large, distance - x.lit(FAR));
    let up = zero.le(x);
    let square = t * t;
    let near = square * polynomial_by_halves(t, square, TAIL);
    let excess = near + L::select(up, x + (small + small - one), zero);
    [L::select(up, large, small), L::select(up, small, large), excess]
}
