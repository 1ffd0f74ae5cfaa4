//! The logistic family: distribution function `1 / (1 + e^-x)`, `x = (z - location) / s`,
//! `s = e^log_scale`; its variance is `(pi s)^2 / 3`.
//!
//! A draw is `±(ln(2 - u) - ln u)` with `u` uniform: the magnitude by inversion, in a form whose
//! tail has the full resolution of `u` near 0.
//!
//! The divergence from the standard member has no closed form. Let `f` be the standard log-density,
//! `y` a standard draw, and `z = m + s y`. Integration by parts gives `E f'(y) = 0` and
//! `E y f'(y) = -1`, so
//!
//! ```text
//! KL = E[f(y) - ln s - f(z)] = (s - 1 - ln s) + E[f(y) + f'(y) (z - y) - f(z)].
//! ```
//!
//! `f` is concave, so the second term is never negative for a single draw. It is 0 at the standard
//! member, and its deviation vanishes there with the square of the distance. (The deviation of
//! `ln q - ln p` vanishes only with the distance.)

use super::draw::NoiseKind;
use super::excess::ln_1p_minus;
use super::family::{self, Family};
use super::gaussian::exp_m1_minus;
use super::scaled::times_exp;
use crate::real::Real;

/// The logistic family: density `e^-x / (s (1 + e^-x)^2)` with `x = (z - location) / s` and
/// `s = e^log_scale > 0`; variance `(pi s)^2 / 3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logistic;

/// Returns the standard variate.
#[inline(always)]
fn standard<R: Real>([uniform, side]: [R; 2]) -> R {
    let magnitude = (uniform.lit(1.0) - uniform).ln_1p() - uniform.ln();
    R::select(side.lt(side.lit(0.5)), -magnitude, magnitude)
}

/// Returns `f(y) + f'(y) d - f(y + d) = 2 [softplus(y + d) - softplus(y) - sigmoid(y) d]`, which is
/// never negative.
///
/// It is even under `(y, d) -> (-y, -d)`, so `y <= 0` is assumed. Near `d = 0`, with
/// `p = sigmoid(y)` and `v = p (e^d - 1)`: `ln(1 + v) - p d = [ln(1 + v) - v] + p (e^d - 1 - d)`.
/// At most a factor of `1 / (1 - p) <= 2` of accuracy is lost there.
#[inline(always)]
fn divergence<R: Real>(y: R, d: R) -> R {
    let d = R::select(y.gt(y.lit(0.0)), -d, d);
    let y = -y.abs();
    let p = y.sigmoid();
    let inside = d.clamp(d.lit(-1.0), d.lit(1.0));
    let near = p.mul_add(exp_m1_minus(inside), ln_1p_minus(p * inside.exp_m1()));
    let far = ((y + d).softplus() - y.softplus()) - p * d;
    // Where d dominates: avoids a difference of infinities.
    let far = R::select(d.gt(d.lit(1e30)), d - p * d.min(d.lit(1e38)), far);
    let half = R::select(d.abs().lt(d.lit(1.0)), near, far);
    half + half
}

/// Returns `sigmoid(y + d) - sigmoid(y)` without cancellation near `d = 0`: for `d >= 0` as
/// `sigmoid(y + d) sigmoid(-y) (1 - e^-d)`, otherwise as `sigmoid(y) sigmoid(-y - d) (e^d - 1)`.
#[inline(always)]
fn rise<R: Real>(y: R, d: R) -> R {
    let z = y + d;
    let fall = (-d.abs()).exp_m1();
    let down = y.sigmoid() * (-z).sigmoid() * fall;
    let up = -(z.sigmoid() * (-y).sigmoid() * fall);
    R::select(d.lt(d.lit(0.0)), down, up)
}

impl Family for Logistic {
    const NAME: &'static str = "logistic";
    const NOISE: NoiseKind = NoiseKind::SignedUniform;
    const KL_IS_EXACT: bool = false;

    #[inline(always)]
    fn standard_variance(&self) -> f64 {
        std::f64::consts::PI.powi(2) / 3.0
    }
    #[inline(always)]
    fn sample<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R {
        family::place(parameters, standard(noise))
    }
    #[inline(always)]
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2] {
        family::place_gradient(parameters, standard(noise))
    }
    #[inline(always)]
    fn kl<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R {
        let y = standard(noise);
        divergence(y, family::displacement(parameters, y)) + exp_m1_minus(parameters[1])
    }
    #[inline(always)]
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2] {
        let y = standard(noise);
        let rise = rise(y, family::displacement(parameters, y));
        let by_z = rise + rise;
        [by_z, by_z.mul_add(times_exp(y, parameters[1]), parameters[1].exp_m1())]
    }
    /// `-|x| - 2 ln(1 + e^-|x|) - ln s`.
    #[inline(always)]
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R {
        let x = -family::standardise(parameters, z).abs();
        x.softplus().mul_add(x.lit(-2.0), x - parameters[1])
    }
    #[inline(always)]
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3] {
        let x = family::standardise(parameters, z);
        family::place_density_gradient(parameters[1], x, -(x * x.lit(0.5)).tanh())
    }
    #[inline(always)]
    fn entropy<R: Real>(&self, [_, log_scale]: [R; 2]) -> R {
        log_scale + log_scale.lit(2.0)
    }
    #[inline(always)]
    fn entropy_gradient<R: Real>(&self, [location, _]: [R; 2]) -> [R; 2] {
        [location.lit(0.0), location.lit(1.0)]
    }
}
