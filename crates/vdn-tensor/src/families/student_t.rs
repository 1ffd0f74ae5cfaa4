//! Student's t family with fixed degrees of freedom `nu`: density proportional to
//! `(1 + x^2/nu)^(-(nu+1)/2) / s`, `x = (z - location) / s`, `s = e^log_scale`.
//!
//! A draw is made from two standard normals `n1` and `n2`. With `r = (n1^2 + n2^2) / nu`,
//! `n1 sqrt((e^r - 1) / r)` has the standard distribution. Reason: for the uniforms `u` and `v` of
//! Box and Muller, `r nu / 2 = -ln u` and `n1 / sqrt(nu r) = cos(2 pi v)`, so the draw is
//! `sqrt(nu (u^(-2/nu) - 1)) cos(2 pi v)` (Bailey, "Polar generation of random variates with the
//! t-distribution", 1994).
//!
//! The divergence from the standard member has no closed form. Both distributions have the same
//! tails, so the ratio `e^l = p(z)/q(z)` of their densities is bounded. Its mean under `q` is 1, so
//! `E[e^l - 1 - l] = E[-l] = KL`, and `e^l - 1 - l` is not negative for any draw.

use super::draw::NoiseKind;
use super::family::{self, Family};
use super::gaussian::exp_m1_minus;
use super::scaled::times_exp;
use crate::math::gamma::{student_t_log_norm, student_t_log_norm_slope};
use crate::real::{Mask, Real};

/// The `x` from which `x^2` may overflow.
const FAR: f64 = 1e15;

/// Student's t family with fixed degrees of freedom `nu >= 1`: density proportional to
/// `(1 + x^2/nu)^(-(nu+1)/2) / s` with `x = (z - location) / s` and `s = e^log_scale > 0`; variance
/// `s^2 nu / (nu - 2)` for `nu > 2`.
///
/// ```
/// use vdn_tensor::families::{Family, StudentT};
/// let cauchy = StudentT::new(1.0).unwrap();
/// let density = cauchy.log_density([0.0_f64, 0.0], 1.0).exp();
/// assert!((density - 0.5 / std::f64::consts::PI).abs() < 1e-15);
/// assert!(StudentT::new(0.5).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StudentT {
    nu: f64,
    log_norm: f64,
    entropy: f64,
}

impl StudentT {
    /// Creates the family with `nu` degrees of freedom, finite and at least 1 (the Cauchy family);
    /// below 1, draws overflow `f32`. Returns `None` for other numbers.
    #[must_use]
    pub fn new(nu: f64) -> Option<Self> {
        if !(nu >= 1.0 && nu.is_finite()) {
            return None;
        }
        let log_norm = student_t_log_norm(nu);
        // This is the difference of digamma at `(nu + 1)/2` and `nu/2`, which would cancel for a
        // large `nu`.
        let difference = 2.0 * student_t_log_norm_slope(nu) + 1.0 / nu;
        let entropy = 0.5 * (nu + 1.0) * difference - log_norm;
        Some(Self { nu, log_norm, entropy })
    }

    /// Returns the degrees of freedom.
    #[must_use]
    pub fn degrees_of_freedom(&self) -> f64 {
        self.nu
    }

    /// Returns the standard variate.
    #[inline(always)]
    fn standard<R: Real>(&self, [one, two]: [R; 2]) -> R {
        let r = one.mul_add(one, two * two) * one.lit(1.0 / self.nu);
        // At r = 0 the quotient is its limit 1.
        let r = r.max(r.lit(1e-30));
        one * (r.exp_m1() / r).sqrt()
    }

    /// Returns `ln p(z) - ln q(z)` at `z = m + s y`: `ln s - (nu+1)/2 ln[(nu + z^2) / (nu + y^2)]`.
    /// If the quotient is close to 1, its logarithm is computed as `ln(1 + v)` with
    /// `v = (z - y)(z + y) / (nu + y^2)`.
    #[inline(always)]
    fn log_ratio<R: Real>(&self, parameters: [R; 2], y: R) -> R {
        let (z, nu) = (family::place(parameters, y), y.lit(self.nu));
        let v = family::displacement(parameters, y) * (z + y) / y.mul_add(y, nu);
        let apart = self.growth(z) - self.growth(y);
        let growth = R::select(v.abs().lt(v.lit(0.5)), v.ln_1p(), apart);
        growth.mul_add(y.lit(-0.5 * (self.nu + 1.0)), parameters[1])
    }

    /// Returns `ln(1 + x^2/nu)`, even if the square overflows.
    #[inline(always)]
    fn growth<R: Real>(&self, x: R) -> R {
        let plain = (x * x * x.lit(1.0 / self.nu)).ln_1p();
        let near = x.abs().lt(x.lit(FAR));
        if near.all() {
            return plain;
        }
        let r = x * x.lit(1.0 / self.nu.sqrt());
        let log = r.abs().ln();
        let far = R::select(r.abs().lt(x.lit(FAR)), (r * r).ln_1p(), log + log);
        R::select(near, plain, far)
    }

    /// Returns the slope of the standard log-density, `-(nu + 1) x / (nu + x^2)`.
    #[inline(always)]
    fn slope<R: Real>(&self, x: R) -> R {
        let plain = x * x.lit(-self.nu - 1.0) / x.mul_add(x, x.lit(self.nu));
        R::select(x.abs().lt(x.lit(FAR)), plain, x.lit(-self.nu - 1.0) / (x + x.lit(self.nu) / x))
    }
}

impl Family for StudentT {
    const NAME: &'static str = "student_t";
    const NOISE: NoiseKind = NoiseKind::NormalPair;
    const KL_IS_EXACT: bool = false;

    #[inline(always)]
    fn standard_variance(&self) -> f64 {
        if self.nu > 2.0 { self.nu / (self.nu - 2.0) } else { f64::INFINITY }
    }
    #[inline(always)]
    fn sample<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R {
        family::place(parameters, self.standard(noise))
    }
    #[inline(always)]
    fn sample_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2] {
        family::place_gradient(parameters, self.standard(noise))
    }
    #[inline(always)]
    fn kl<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> R {
        exp_m1_minus(self.log_ratio(parameters, self.standard(noise)))
    }
    #[inline(always)]
    fn kl_gradient<R: Real>(&self, parameters: [R; 2], noise: [R; 2]) -> [R; 2] {
        let y = self.standard(noise);
        let excess = self.log_ratio(parameters, y).exp_m1();
        let slope = self.slope(family::place(parameters, y));
        let by_scale = slope.mul_add(times_exp(y, parameters[1]), y.lit(1.0));
        [excess * slope, excess * by_scale]
    }
    #[inline(always)]
    fn log_density<R: Real>(&self, parameters: [R; 2], z: R) -> R {
        let x = family::standardise(parameters, z);
        let near = x.abs().lt(x.lit(FAR));
        let mut growth = self.growth(x);
        if !near.all() {
            let log = (z - parameters[0]).abs().ln() - parameters[1];
            growth = R::select(near, growth, log + log - x.lit(self.nu.ln()));
        }
        growth.mul_add(x.lit(-0.5 * (self.nu + 1.0)), x.lit(self.log_norm) - parameters[1])
    }
    #[inline(always)]
    fn log_density_gradient<R: Real>(&self, parameters: [R; 2], z: R) -> [R; 3] {
        let x = family::standardise(parameters, z);
        // x is kept finite: the slope times x has the limit `-(nu + 1)`.
        let x = x.min(x.lit(1e38)).max(x.lit(-1e38));
        family::place_density_gradient(parameters[1], x, self.slope(x))
    }
    #[inline(always)]
    fn entropy<R: Real>(&self, [_, log_scale]: [R; 2]) -> R {
        log_scale + log_scale.lit(self.entropy)
    }
    #[inline(always)]
    fn entropy_gradient<R: Real>(&self, [location, _]: [R; 2]) -> [R; 2] {
        [location.lit(0.0), location.lit(1.0)]
    }
}
