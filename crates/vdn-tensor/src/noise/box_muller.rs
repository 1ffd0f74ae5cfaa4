//! The normal transform of Box and Muller (1958): two uniforms give two independent standard
//! normals, `sqrt(-2 ln u) * (cos, sin)(2 pi v)`.
//!
//! `u = (w + 1/2) / 2^32` is at least 2^-33, so the radius is at most 6.76 (a two-sided tail of
//! 1.4e-11). `v = w / 2^32` is taken as a signed fraction of a turn, so the angle needs no
//! reduction by a multiple of pi.

use super::Words;
use crate::math::{ln, turn};
use crate::real::Real;
use crate::simd::{LANES, U32Lanes};

/// 2^-32.
const SCALE: f64 = 1.0 / 4_294_967_296.0;

/// Returns two normals per lane in `f32` from each of `N` pairs of words, computed side by side:
/// the latency of one pair is twice the cost of its operations.
#[inline(always)]
pub fn single<U: U32Lanes, const N: usize>(words: [[U; 2]; N]) -> [[U::F32; 2]; N] {
    let zero = words[0][0].to_f32_bits();
    let (mut u, mut v) = ([zero; N], [zero; N]);
    for i in 0..N {
        let w = words[i][0].to_f32();
        u[i] = w.mul_add(w.lit(SCALE), w.lit(0.5 * SCALE));
        v[i] = words[i][1].to_f32_signed();
    }
    let square = ln::minus_two_ln_unit(u);
    let mut z = turn::sin_cos_parts(v, SCALE);
    for i in 0..N {
        let r = square[i].sqrt();
        let [sin, cos] = z[i];
        z[i] = [r * cos, r * sin];
    }
    z
}

/// Returns two normals per lane in `f64`, from the same words.
#[must_use]
pub fn double([radius, angle]: &[Words; 2]) -> [[f64; LANES]; 2] {
    let mut z = [[0.0; LANES]; 2];
    for i in 0..LANES {
        let u = (f64::from(radius[i]) + 0.5) * SCALE;
        let r = (-2.0 * u.ln()).sqrt();
        let (sin, cos) = (f64::from(angle[i] as i32) * SCALE * std::f64::consts::TAU).sin_cos();
        z[0][i] = r * cos;
        z[1][i] = r * sin;
    }
    z
}
