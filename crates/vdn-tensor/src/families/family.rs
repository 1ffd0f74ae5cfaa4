//! [`Family`]: the interface that all families of distributions share.

use super::draw::NoiseKind;
use super::scaled::{is_ordinary, times_exp};
use crate::real::{Mask, Real};

/// A family of distributions with two parameters, `[location, log scale]`. Its standard member
/// `[0, 0]` is the prior of a unit.
///
/// All methods are formulas of one element: plain functions over [`Real`]. The gradients are
/// written by hand next to the values; tests compare them with [`Dual`](crate::Dual) numbers.
/// Logarithms are natural; information is in nats. The log scale is the one of the family itself:
/// `ln sigma` for [`Normal`](super::Normal), `ln b` for [`Laplace`](super::Laplace).
///
/// The divergence from a member `[m, l]` other than the standard one equals the divergence of
/// `[(location - m) e^-l, log_scale - l]` from the standard member: affine maps (for
/// [`LogNormal`](super::LogNormal) powers and scalings) change both distributions in the same way.
pub trait Family: Copy + Send + Sync + 'static {
    /// The name in reports, in snake case.
    const NAME: &'static str;
    /// The noise from which a draw is made.
    const NOISE: NoiseKind;
    /// Whether [`Family::kl`] is the divergence itself. If not, it is an unbiased estimate of the
    /// divergence from one draw.
    const KL_IS_EXACT: bool;

    /// Returns the variance of the standard member; infinite if it has none. For the log-normal
    /// family it is the variance of the logarithm.
    fn standard_variance(&self) -> f64;

    /// Returns a draw, as a differentiable function of the parameters.
    fn sample<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R;
    /// Returns the derivatives of [`Family::sample`] with respect to the parameters.
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2];

    /// Returns the Kullback-Leibler divergence from the standard member, or, if no closed form is
    /// known, an estimate with this mean from one draw. It is never negative, 0 at the standard
    /// member, and accurate however close to it.
    fn kl<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R;
    /// Returns the derivatives of [`Family::kl`] with respect to the parameters, at fixed noise.
    /// Their mean is the gradient of the divergence.
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2];

    /// Returns the logarithm of the density at `z`.
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R;
    /// Returns the derivatives of [`Family::log_density`] with respect to location, log scale and
    /// `z`.
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3];

    /// Returns the differential entropy.
    fn entropy<R: Real>(&self, parameters: [R; 2]) -> R;
    /// Returns the derivatives of [`Family::entropy`] with respect to the parameters.
    fn entropy_gradient<R: Real>(&self, parameters: [R; 2]) -> [R; 2];
}

/// Returns `location + e^log_scale x`.
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

/// Returns the derivatives of [`place`] with respect to the parameters.
#[inline(always)]
pub(super) fn place_gradient<R: Real>([_, log_scale]: [R; 2], x: R) -> [R; 2] {
    [x.lit(1.0), times_exp(x, log_scale)]
}

/// Returns `(z - location) e^-log_scale`: the inverse of [`place`].
#[inline(always)]
pub(super) fn standardise<R: Real>([location, log_scale]: [R; 2], z: R) -> R {
    times_exp(z - location, -log_scale)
}

/// Returns the derivatives of `ln f((z - location) e^-log_scale) - log_scale` with respect to
/// location, log scale and `z`, from `slope = d ln f / dx` at `x`.
#[inline(always)]
pub(super) fn place_density_gradient<R: Real>(log_scale: R, x: R, slope: R) -> [R; 3] {
    let by_z = times_exp(slope, -log_scale);
    [-by_z, -(x * slope) - x.lit(1.0), by_z]
}

/// Returns `x - y` for a standard draw `y` and `x = place(parameters, y)`, without cancellation
/// near the standard member.
#[inline(always)]
pub(super) fn displacement<R: Real>([location, log_scale]: [R; 2], y: R) -> R {
    let moved = log_scale.exp_m1().mul_add(y, location);
    // A draw of 0 is not scaled, not even by an infinite scale.
    R::select(y.le(y.lit(0.0)) & y.ge(y.lit(0.0)), location, moved)
}
