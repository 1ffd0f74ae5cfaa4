//! Vector mathematics on the lanes of every SIMD level, one function per file.

pub mod double;
pub mod erf;
pub mod exp;
pub mod exp_m1;
pub mod exp_with_excess;
pub mod ln;
pub mod ln_1p;
pub mod sigmoid;
pub mod softplus;
pub mod tanh;
pub mod turn;

use crate::simd::{F32Lanes, U32Lanes};

/// Expands, inside `impl Real for F32` of a level, to the functions of `Real` on that level's lanes.
macro_rules! lane_functions {
    () => {
        $crate::math::lane_functions!(exp exp_m1 ln ln_1p tanh sigmoid softplus erf);
    };
    ($($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $crate::math::$name::$name(self)
        }
    )*};
}
pub(crate) use lane_functions;

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline(always)]
fn polynomial<L: F32Lanes, const N: usize>(x: L, c: [f64; N]) -> L {
    let mut sum = x.lit(c[N - 1]);
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, x.lit(c[i]));
    }
    sum
}

/// `x`, which is not negative or has that sign already, with the sign of `sign`.
#[inline(always)]
fn with_sign_of<L: F32Lanes>(x: L, sign: L) -> L {
    let bits = sign.to_bits();
    (x.to_bits() | (bits & bits.lit(0x8000_0000))).to_f32_bits()
}
