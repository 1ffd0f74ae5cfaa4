//! The Laplace family: density `e^(-|z - location| / b) / (2 b)`, `b = e^log_scale`; its variance
//! is `2 b^2`.
//!
//! A draw is `±(-ln u)` with `u` uniform, because the magnitude of a standard Laplace variate is
//! exponential. The divergence from `Laplace(0, 1)` is `|m| + b e^(-|m|/b) - 1 - ln b`, from
//! `E |z|` for `z` of the family (moments: Kotz, Kozubowski and Podgorski, "The Laplace
//! Distribution and Generalizations", 2001). Here it is written as a sum of two terms that are
//! never negative.

use super::draw::NoiseKind;
use super::family::{self, Family};
use super::gaussian::exp_m1_minus;
use super::scaled::{is_ordinary, times_exp};
use crate::real::{Mask, Real};

/// The Laplace family: density `e^(-|z - location| / b) / (2 b)` with `b = e^log_scale > 0`;
/// variance `2 b^2`.
///
/// ```
/// use vdn_tensor::families::{Family, Laplace};
/// let (m, b) = (0.7_f64, 0.4_f64);
/// let kl = Laplace.kl([m, b.ln()], [0.5, 0.5]); // exact: the noise plays no part
/// assert!((kl - (m + b * (-m / b).exp() - 1.0 - b.ln())).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Laplace;

/// Returns the standard variate.
#[inline(always)]
fn standard<R: Real>([uniform, side]: [R; 2]) -> R {
    let log = uniform.ln();
    R::select(side.lt(side.lit(0.5)), log, -log)
}

/// Returns -1 below 0, otherwise 1.
#[inline(always)]
fn sign<R: Real>(x: R) -> R {
    R::select(x.lt(x.lit(0.0)), x.lit(-1.0), x.lit(1.0))
}

impl Family for Laplace {
    const NAME: &'static str = "laplace";
    const NOISE: NoiseKind = NoiseKind::SignedUniform;
    const KL_IS_EXACT: bool = true;

    #[inline(always)]
    fn standard_variance(&self) -> f64 {
        2.0
    }
    #[inline(always)]
    fn sample<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R {
        family::place(parameters, standard(noise))
    }
    #[inline(always)]
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2] {
        family::place_gradient(parameters, standard(noise))
    }
    /// With `a = |m|/b`: `|m| + b e^-a - 1 - ln b = b (e^-a - 1 + a) + (e^l - 1 - l)`, `l = ln b`.
    #[inline(always)]
    fn kl<R: Real>(&self, [location, log_scale]: [R; 2], _noise: [R; 2]) -> R {
        let (b, distance) = (log_scale.exp(), location.abs());
        let a = distance / b;
        let plain = b.mul_add(exp_m1_minus(-a), exp_m1_minus(log_scale));
        let ordinary = is_ordinary(b) & a.lt(a.lit(1e36));
        if ordinary.all() {
            return plain;
        }
        // For a >= 1 the form `|m| + b (e^-a - 1)` needs no product of 0 and infinity.
        let a = times_exp(distance, -log_scale);
        let near = times_exp(exp_m1_minus(-a), log_scale);
        let far = distance + b * (-a).exp_m1();
        let by_location = R::select(a.lt(a.lit(1.0)), near, far);
        R::select(ordinary, plain, by_location + exp_m1_minus(log_scale))
    }
    /// The derivative with respect to the location is `±(1 - e^-a)`. With respect to the log scale
    /// it is `b e^-a (1 + a) - 1 = b (x - a + a e^-a) + (b - 1)`, with `x` the excess
    /// `e^-a - 1 + a`.
    #[inline(always)]
    fn kl_gradient<R: Real>(&self, [location, log_scale]: [R; 2], _noise: [R; 2]) -> [R; 2] {
        let b = log_scale.exp();
        let a = location.abs() / b;
        let fall = (-a).exp_m1();
        let by_scale = b.mul_add(a.mul_add(fall, exp_m1_minus(-a)), log_scale.exp_m1());
        let plain = [-(sign(location) * fall), by_scale];
        let ordinary = is_ordinary(b) & a.lt(a.lit(64.0));
        if ordinary.all() {
            return plain;
        }
        // A large a would cancel; from 200 on, `e^-a (1 + a)` is negligible beside 1.
        let a = times_exp(location.abs(), -log_scale).min(a.lit(200.0));
        let fall = (-a).exp_m1();
        let near = times_exp(a.mul_add(fall, exp_m1_minus(-a)), log_scale) + log_scale.exp_m1();
        let far = times_exp((a + a.lit(1.0)) * (-a).exp(), log_scale) - a.lit(1.0);
        let by_scale = R::select(a.lt(a.lit(1.0)), near, far);
        [
            R::select(ordinary, plain[0], -(sign(location) * fall)),
            R::select(ordinary, plain[1], by_scale),
        ]
    }
    #[inline(always)]
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R {
        let x = family::standardise(parameters, z);
        -x.abs() - parameters[1] - x.lit(std::f64::consts::LN_2)
    }
    /// At `z = location`, where the density has its kink, the result is the slope from above.
    #[inline(always)]
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3] {
        let x = family::standardise(parameters, z);
        family::place_density_gradient(parameters[1], x, -sign(z - parameters[0]))
    }
    #[inline(always)]
    fn entropy<R: Real>(&self, [_, log_scale]: [R; 2]) -> R {
        log_scale + log_scale.lit(1.0 + std::f64::consts::LN_2)
    }
    #[inline(always)]
    fn entropy_gradient<R: Real>(&self, [location, _]: [R; 2]) -> [R; 2] {
        [location.lit(0.0), location.lit(1.0)]
    }
}
