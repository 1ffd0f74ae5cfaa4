//! [`Family`]: what a family of distributions offers, whatever its formulas.

use super::draw::NoiseKind;
use super::scaled::{is_ordinary, times_exp};
use crate::real::{Mask, Real};

/// A family of distributions with two parameters, `[location, log scale]`, and its standard member `[0, 0]`, which is
/// the prior of a unit.
///
/// All methods are formulas of one element: plain functions over [`Real`]. The gradients are written by hand and stand
/// beside the values; tests hold them against [`Dual`](crate::Dual) numbers. Logarithms are natural, information is in
/// nats. The log scale is that of the family itself: `ln sigma` for [`Normal`](super::Normal), `ln b` for
/// [`Laplace`](super::Laplace).
///
/// The divergence from another member `[m, l]` than the standard one is that of
/// `[(location - m) e^-l, log_scale - l]` from the standard one (affine maps, or for [`LogNormal`](super::LogNormal)
/// powers and scalings, change both alike).
pub trait Family: Copy + Send + Sync + 'static {
    /// The name in reports, in snake case.
    const NAME: &'static str;
    /// What a draw is made of.
    const NOISE: NoiseKind;
    /// Whether [`Family::kl`] is the divergence itself; else it is an unbiased estimate of it from one draw.
    const KL_IS_EXACT: bool;

    /// The variance of the standard member; infinite where it has none. Of the log-normal family: that of the logarithm.
    fn standard_variance(&self) -> f64;

    /// A draw, as a differentiable function of the parameters.
    fn sample<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R;
    /// The derivatives of [`Family::sample`] by the parameters.
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2];

    /// The Kullback-Leibler divergence from the standard member, or (where no closed form is known) an estimate with
    /// this mean from one draw. Never negative, 0 at the standard member, and accurate however close to it.
    fn kl<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R;
    /// The derivatives of [`Family::kl`] by the parameters, with the noise held fixed: their mean is the gradient of the
    /// divergence.
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2];

    /// The logarithm of the density at `z`.
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R;
    /// The derivatives of [`Family::log_density`] by location, log scale and `z`.
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3];

    /// The differential entropy.
    fn entropy<R: Real>(&self, parameters: [R; 2]) -> R;
    /// The derivatives of [`Family::entropy`] by the parameters.
    fn entropy_gradient<R: Real>(&self, parameters: [R; 2]) -> [R; 2];
}

/// `location + e^log_scale x`.
#[inline(always)]
pub(super) fn place<R: Real>([location, log_scale]: [R; 2], x: R) -> R {
    let scale = log_scale.exp();
    let plain = scale.mul_add(x, location);
    let ordinary = is_ordinary(scale);
    if ordinary.all() {
        return plain;
    }
    R::select(ordinary, plain, times_exp(x, log_scale) + location)
}

/// The derivatives of [`place`] by the parameters.
#[inline(always)]
pub(super) fn place_gradient<R: Real>([_, log_scale]: [R; 2], x: R) -> [R; 2] {
    [x.lit(1.0), times_exp(x, log_scale)]
}

/// `(z - location) e^-log_scale`: the inverse of [`place`].
#[inline(always)]
pub(super) fn standardise<R: Real>([location, log_scale]: [R; 2], z: R) -> R {
    times_exp(z - location, -log_scale)
}

/// The derivatives of `ln f((z - location) e^-log_scale) - log_scale` by location, log scale and `z`, from
/// `slope = d ln f / dx` at `x`.
#[inline(always)]
pub(super) fn place_density_gradient<R: Real>(log_scale: R, x: R, slope: R) -> [R; 3] {
    let by_z = times_exp(slope, -log_scale);
    [-by_z, -(x * slope) - x.lit(1.0), by_z]
}

/// `x - y` for `y` a standard draw and `x = place(parameters, y)`, without cancellation near the standard member.
#[inline(always)]
pub(super) fn displacement<R: Real>([location, log_scale]: [R; 2], y: R) -> R {
    let moved = log_scale.exp_m1().mul_add(y, location);
    // Nothing is moved by a draw of 0, not even by an infinite scale.
    R::select(y.le(y.lit(0.0)) & y.ge(y.lit(0.0)), location, moved)
}
