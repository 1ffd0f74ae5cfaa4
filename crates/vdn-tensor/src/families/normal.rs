//! The normal family in the interface that all families share. The fused kernel of Gaussian units
//! has its own formulas in [`gaussian`](super::gaussian), for `logvar = 2 ln sigma`.

use super::draw::NoiseKind;
use super::family::{self, Family};
use super::gaussian::exp_m1_minus;
use crate::real::Real;

/// `ln(2 pi) / 2`.
pub(super) const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// The normal family `Normal(location, sigma^2)`: density `e^(-x^2/2) / (sigma sqrt(2 pi))` with
/// `x = (z - location) / sigma` and `sigma = e^log_scale > 0`; variance `sigma^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal;

/// Returns `KL(Normal(location, sigma^2) || Normal(0, 1)) = location^2/2 + (e^2l - 1 - 2l)/2` with
/// `l = ln sigma`.
#[inline(always)]
pub(super) fn kl<R: Real>([location, log_scale]: [R; 2]) -> R {
    location.mul_add(location, exp_m1_minus(log_scale + log_scale)) * location.lit(0.5)
}

#[inline(always)]
pub(super) fn kl_gradient<R: Real>([location, log_scale]: [R; 2]) -> [R; 2] {
    [location, (log_scale + log_scale).exp_m1()]
}

impl Family for Normal {
    const NAME: &'static str = "normal";
    const NOISE: NoiseKind = NoiseKind::Normal;
    const KL_IS_EXACT: bool = true;

    #[inline(always)]
    fn standard_variance(&self) -> f64 {
        1.0
    }
    #[inline(always)]
    fn sample<R: Real>(&self, parameters: [R; 2], [noise, _]: [R; 2]) -> R {
        family::place(parameters, noise)
    }
    #[inline(always)]
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], [noise, _]: [R; 2]) -> [R; 2] {
        family::place_gradient(parameters, noise)
    }
    #[inline(always)]
    fn kl<R: Real>(&self, parameters: [R; 2], _noise: [R; 2]) -> R {
        kl(parameters)
    }
    #[inline(always)]
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], _noise: [R; 2]) -> [R; 2] {
        kl_gradient(parameters)
    }
    #[inline(always)]
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R {
        let x = family::standardise(parameters, z);
        (x * x).mul_add(x.lit(-0.5), -parameters[1] - x.lit(HALF_LN_2PI))
    }
    #[inline(always)]
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3] {
        let x = family::standardise(parameters, z);
        family::place_density_gradient(parameters[1], x, -x)
    }
    #[inline(always)]
    fn entropy<R: Real>(&self, [_, log_scale]: [R; 2]) -> R {
        log_scale + log_scale.lit(HALF_LN_2PI + 0.5)
    }
    #[inline(always)]
    fn entropy_gradient<R: Real>(&self, [location, _]: [R; 2]) -> [R; 2] {
        [location.lit(0.0), location.lit(1.0)]
    }
}
