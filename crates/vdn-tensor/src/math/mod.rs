//! Vector mathematics on the lanes of every SIMD level: one function, one file.
//!
//! Every function is a formula over [`F32Lanes`], written once for all levels, with the same
//! operations in the same order. Results are therefore bit-identical on all levels with fused
//! multiply-add. No tables and no approximate reciprocals are used.
//!
//! The head of each file states formula, method, special values and worst error. The error was
//! measured on all 2^32 bit patterns by the ignored test of `tests/all/math_accuracy.rs`. That file
//! also checks rounded bounds over a coarser sweep with all special values. An error in ULP is
//! `|got - exact|` in units of the distance of neighbouring numbers at the exact result; for
//! subnormal results this distance is 2^-149. NaN gives NaN everywhere. Subnormal arguments and
//! results are ordinary numbers.
//!
//! Coefficients, unless stated otherwise, are those of the minimax polynomial for the stated
//! weight. It was found by linear programming on 1201 Chebyshev points in 160-bit arithmetic (or by
//! Remez exchange, where a file says so), then rounded to `f32` by searching the neighbouring
//! numbers for the smallest maximum. The bound stated with each is the bound after rounding.

pub mod double;
pub mod erf;
pub mod exp;
pub mod exp_m1;
pub mod exp_with_excess;
pub mod gain;
pub mod gamma;
pub mod ln;
pub mod ln_1p;
pub mod sigmoid;
pub mod softplus;
pub mod tanh;
pub mod turn;

use crate::simd::{F32Lanes, U32Lanes};

/// Expands, inside `impl Real for F32` of a level, to the functions of `Real` on that level's
/// lanes.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
pub(crate) use lane_functions;

/// Returns `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline(always)]
fn polynomial<L: F32Lanes, const N: usize>(x: L, c: [f64; N]) -> L {
    let mut sum = x.lit(c[N - 1]);
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, x.lit(c[i]));
    }
    sum
}

/// Does what [`polynomial`] does, from `x` and its square. Even and odd powers are summed
/// separately, which halves the latency of Horner's rule with the same number of operations.
#[inline(always)]
fn polynomial_by_halves<L: F32Lanes, const N: usize>(x: L, square: L, c: [f64; N]) -> L {
    let mut sums = [x.lit(0.0); 2];
    sums[(N - 1) % 2] = x.lit(c[N - 1]);
    sums[N % 2] = x.lit(c[N - 2]);
    for k in (0..N - 2).rev() {
        sums[k % 2] = sums[k % 2].mul_add(square, x.lit(c[k]));
    }
    sums[1].mul_add(x, sums[0])
}

/// Returns `x`, which is not negative or already has that sign, with the sign of `sign`.
#[inline(always)]
fn with_sign_of<L: F32Lanes>(x: L, sign: L) -> L {
    let bits = sign.to_bits();
    (x.to_bits() | (bits & bits.lit(0x8000_0000))).to_f32_bits()
}
