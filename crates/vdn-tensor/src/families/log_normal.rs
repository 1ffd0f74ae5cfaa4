//! The log-normal family: `z > 0`, `ln z ~ Normal(location, sigma^2)`, `sigma = e^log_scale`.
//!
//! Divergences are invariant under the invertible map `ln`, so they equal those of the normal
//! family.

use super::draw::NoiseKind;
use super::family::{self, Family};
use super::normal::{self, HALF_LN_2PI};
use super::scaled::times_exp;
use crate::real::Real;

/// The log-normal family: `ln z ~ Normal(location, sigma^2)` with `sigma = e^log_scale > 0`. The
/// density, `e^(-x^2/2) / (z sigma sqrt(2 pi))` with `x = (ln z - location) / sigma`, is defined
/// for `z > 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal;

impl Family for LogNormal {
    const NAME: &'static str = "log_normal";
    const NOISE: NoiseKind = NoiseKind::Normal;
    const KL_IS_EXACT: bool = true;

    #[inline(always)]
    fn standard_variance(&self) -> f64 {
        1.0
    }
    #[inline(always)]
    fn sample<R: Real>(&self, parameters: [R; 2], [noise, _]: [R; 2]) -> R {
        family::place(parameters, noise).exp()
    }
    #[inline(always)]
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], [noise, _]: [R; 2]) -> [R; 2] {
        let z = family::place(parameters, noise).exp();
        let slope = z * times_exp(noise, parameters[1]);
        // A draw that underflowed to 0 does not move with the scale.
        [z, R::select(z.le(z.lit(0.0)), z, slope)]
    }
    #[inline(always)]
    fn kl<R: Real>(&self, parameters: [R; 2], _noise: [R; 2]) -> R {
        normal::kl(parameters)
    }
    #[inline(always)]
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], _noise: [R; 2]) -> [R; 2] {
        normal::kl_gradient(parameters)
    }
    /// `-x^2/2 - ln sigma - ln z - ln(2 pi)/2`, `x = (ln z - location) / sigma`.
    #[inline(always)]
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R {
        let log = z.ln();
        let x = family::standardise(parameters, log);
        (x * x).mul_add(x.lit(-0.5), -parameters[1] - log - x.lit(HALF_LN_2PI))
    }
    #[inline(always)]
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3] {
        let x = family::standardise(parameters, z.ln());
        let [by_location, by_scale, by_log] = family::place_density_gradient(parameters[1], x, -x);
        [by_location, by_scale, (by_log - x.lit(1.0)) / z]
    }
    #[inline(always)]
    fn entropy<R: Real>(&self, [location, log_scale]: [R; 2]) -> R {
        location + log_scale + location.lit(HALF_LN_2PI + 0.5)
    }
    #[inline(always)]
    fn entropy_gradient<R: Real>(&self, [location, _]: [R; 2]) -> [R; 2] {
        [location.lit(1.0), location.lit(1.0)]
    }
}
