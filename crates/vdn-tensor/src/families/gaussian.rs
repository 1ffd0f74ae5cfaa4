//! The Gaussian family: `q = Normal(mu, exp(logvar))`, with `logvar = 2 log sigma`.
//!
//! Sources: Kingma and Welling, "Auto-Encoding Variational Bayes" (2014) for the reparameterised
//! sample and the KL to the standard normal.

use crate::real::Real;

/// The hard lower limit of `logvar`: a sigma of 1e-4.
pub const LOGVAR_MIN: f64 = -18.420_680_743_952_367;
/// The hard upper limit of `logvar`: a sigma of 10.
pub const LOGVAR_MAX: f64 = 4.605_170_185_988_092;

/// Returns the reparameterised sample `z = μ + σ ε` with `ε ~ Normal(0, 1)`.
#[inline(always)]
pub fn sample<R: Real>(mu: R, sigma: R, noise: R) -> R {
    sigma.mul_add(noise, mu)
}

/// Returns `[σ, σ² - 1, σ² - 1 - logvar]` for a `logvar` within its limits, without cancellation
/// near `logvar = 0`.
///
/// With `h = logvar/2`, `u = e^h - 1` and `x = u - h` (the excess): `σ = 1 + u`,
/// `σ² - 1 = u (2 + u)`, and `σ² - 1 - logvar = u² + 2 x`.
///
/// ```
/// use vdn_tensor::families::gaussian::scale;
/// let [sigma, variance_minus_one, spread] = scale(2.0 * 0.7_f64.ln());
/// assert!((sigma - 0.7).abs() < 1e-15);
/// assert!((variance_minus_one - (0.49 - 1.0)).abs() < 1e-15);
/// assert!((spread - (0.49 - 1.0 - 2.0 * 0.7_f64.ln())).abs() < 1e-15);
/// ```
#[inline(always)]
pub fn scale<R: Real>(logvar: R) -> [R; 3] {
    let half = logvar * logvar.lit(0.5);
    let [sigma, excess] = half.exp_with_excess();
    let u = half + excess;
    [sigma, u * (u + u.lit(2.0)), u.mul_add(u, excess + excess)]
}

/// Returns the KL divergence to the standard normal in nats, `(μ² + σ² - 1 - logvar) / 2`. `spread`
/// is the sum of the last three terms (see [`scale`]).
#[inline(always)]
pub fn kl_standard<R: Real>(mu: R, spread: R) -> R {
    mu.mul_add(mu, spread) * mu.lit(0.5)
}

/// Returns `e^d - 1 - d` for any `d`, without cancellation: the part of a Gaussian KL that depends
/// on the ratio of the variances.
///
/// ```
/// use vdn_tensor::families::gaussian::exp_m1_minus;
/// assert!((exp_m1_minus(1e-8_f64) / 0.5e-16 - 1.0).abs() < 1e-8);
/// ```
#[inline(always)]
pub fn exp_m1_minus<R: Real>(d: R) -> R {
    let near = d.abs().lt(d.lit(40.0));
    R::select(near, d.exp_with_excess()[1], d.exp_m1() - d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dual;

    #[test]
    fn slopes_are_those_the_backward_kernel_uses() {
        for logvar in [-18.0, -3.0, -1.0, -1e-3, -1e-9, 0.0, 1e-6, 0.3, 1.0, 4.6] {
            let [sigma, minus_one, spread] = scale(Dual::variable(logvar));
            // d sigma = sigma / 2; d sigma^2 = sigma^2; d (sigma^2 - 1 - logvar) = sigma^2 - 1.
            let want = [0.5 * sigma.value, sigma.value * sigma.value, minus_one.value];
            for (got, want) in [sigma, minus_one, spread].iter().zip(want) {
                assert!(
                    (got.slope - want).abs() <= 1e-12 * want.abs().max(1e-3),
                    "{logvar} {got:?} {want}"
                );
            }
        }
    }

    #[test]
    fn the_spread_is_positive_and_exact_near_zero() {
        for e in 1..300 {
            let d = 10_f64.powf(-0.05 * f64::from(e));
            for d in [d, -d] {
                let spread = scale(d)[2];
                // d^2/2 + d^3/6 + d^4/24 + ... : below 1e-3 three terms are exact to 1e-14.
                if d.abs() < 1e-3 {
                    let series = d * d * (0.5 + d * (1.0 / 6.0 + d * (1.0 / 24.0 + d / 120.0)));
                    assert!((spread / series - 1.0).abs() < 1e-14, "{d}: {spread} {series}");
                }
                assert!(spread > 0.0, "{d}: {spread}");
            }
        }
    }
}
