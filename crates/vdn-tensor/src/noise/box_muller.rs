//! The normal transform of Box and Muller (1958): two uniforms give two independent standard normals,
//! `sqrt(-2 ln u) * (cos, sin)(2 pi v)`.
//!
//! `u = (w + 1/2) / 2^32` reaches down to 2^-33, so the radius reaches 6.76 (a two-sided tail of 1.4e-11); `v = w /
//! 2^32` is taken as a signed fraction of a turn, so the angle needs no reduction by a multiple of pi.

use super::Words;
use crate::math::{ln, turn};
use crate::real::Real;
use crate::simd::{LANES, U32Lanes};

/// 2^-32.
const SCALE: f64 = 1.0 / 4_294_967_296.0;

/// Two normals per lane in `f32`.
#[inline(always)]
pub fn single<U: U32Lanes>([radius, angle]: [U; 2]) -> [U::F32; 2] {
    let w = radius.to_f32();
    let u = w.mul_add(w.lit(SCALE), w.lit(0.5 * SCALE));
    let r = (ln::ln_unit(u) * u.lit(-2.0)).sqrt();
    let v = angle.to_f32_signed();
    let [sin, cos] = turn::sin_cos_turn(v * v.lit(SCALE));
    [r * cos, r * sin]
}

/// Two normals per lane in `f64`, from the same words.
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
