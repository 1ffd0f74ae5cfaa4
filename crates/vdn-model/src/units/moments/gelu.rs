//! The exact moments of the exact GELU, `g(x) = x Phi(x)`, of a normal variable.

use crate::units::moments::quadrature::legendre;
use vdn_tensor::Real;

/// The moments of `g(x)` for `x ~ Normal(mean, variance)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeluMoments {
    /// `E g(x)`.
    pub mean: f64,
    /// `Var g(x)`.
    pub variance: f64,
    /// `E g'(x)`: by Stein's lemma `Cov(g(x), y) = E g'(x) Cov(x, y)` for `y` jointly normal with
    /// `x`.
    pub slope: f64,
    /// `E g''(x)`.
    pub curvature: f64,
}

fn pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

fn cdf(x: f64) -> f64 {
    0.5 * (1.0 + Real::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// Returns mean, variance and mean slopes of the exact GELU of a normal variable. All are in closed
/// form, up to Owen's function, which is integrated to rounding.
///
/// Let `r = sqrt(1 + v)` and `t = m/r`. Then `E Phi(x) = Phi(t)` and `E phi(x) = phi(t)/r =: c`.
/// Under the density `phi(x) Normal(x; m, v)/c` the variable is `Normal(m/r^2, v/r^2)`. Stein's
/// lemma, `E x f(x) = m E f + v E f'`, gives the rest:
///
/// ```text
/// E g    = m Phi(t) + v c
/// E g'   = Phi(t) + c m/r^2                     E g'' = c (2 - m^2/r^4 - v/r^2)
/// E g^2  = m E[x Phi^2] + v (E Phi^2 + 2 E[x Phi phi]),   E[x Phi^2] = m E Phi^2 + 2 v E[Phi phi]
/// E Phi^2 = Phi(t) - 2 T(t, 1/sqrt(1 + 2 v))    (Owen 1956, 1980)
/// ```
///
/// ```
/// use vdn_model::units::moments::gelu_moments;
/// let certain = gelu_moments(1.5, 0.0);
/// assert!((certain.mean - 1.5 * 0.933_192_798_731_141_9).abs() < 1e-14 && certain.variance.abs() < 1e-14);
/// // E[x Phi(x)] of a standard normal is 1 / (2 sqrt pi).
/// assert!((gelu_moments(0.0, 1.0).mean - 0.5 / std::f64::consts::PI.sqrt()).abs() < 1e-15);
/// ```
///
/// A NaN argument gives NaN.
///
/// # Panics
/// Panics if the variance is negative.
#[must_use]
pub fn gelu_moments(mean: f64, variance: f64) -> GeluMoments {
    let (m, v) = (mean, variance);
    assert!(!(v < 0.0), "gelu_moments: variance {v}");
    let square = 1.0 + v;
    let root = square.sqrt();
    let t = m / root;
    let at = cdf(t);
    let density = pdf(t) / root;
    let expectation = v.mul_add(density, m * at);
    // Mean and variance under the tilted density, and E Phi and E x Phi under it.
    let (tilted_mean, tilted_variance) = (m / square, v / square);
    let tilted_root = (1.0 + tilted_variance).sqrt();
    let tilted_at = cdf(tilted_mean / tilted_root);
    let both = density * tilted_at;
    let x_both = density
        * (tilted_mean * tilted_at
            + tilted_variance * pdf(tilted_mean / tilted_root) / tilted_root);
    let squared = at - 2.0 * owen(t, 1.0 / (1.0 + 2.0 * v).sqrt());
    let x_squared = m * squared + 2.0 * v * both;
    let second = m * x_squared + v * (squared + 2.0 * x_both);
    GeluMoments {
        mean: expectation,
        variance: super::not_negative(second - expectation * expectation),
        slope: at + density * tilted_mean,
        curvature: density * (2.0 - tilted_mean * tilted_mean - tilted_variance),
    }
}

/// Returns Owen's `T(h, a) = 1/(2 pi) int_0^a e^(-h^2 (1 + x^2)/2) / (1 + x^2) dx` for `a` in [0,
/// 1].
fn owen(h: f64, a: f64) -> f64 {
    let mut sum = 0.0;
    for (node, weight) in legendre() {
        let x = 0.5 * a * (node + 1.0);
        let one = 1.0 + x * x;
        sum += weight * (-0.5 * h * h * one).exp() / one;
    }
    0.5 * a * sum / std::f64::consts::TAU
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trapezium rule on 40 deviations to either side: exact to rounding for analytic functions
    /// with Gaussian tails.
    fn expectation(m: f64, v: f64, f: impl Fn(f64) -> f64) -> f64 {
        let (steps, reach) = (40_000, 12.0);
        let h = 2.0 * reach / f64::from(steps);
        (0..=steps)
            .map(|i| -reach + h * f64::from(i))
            .map(|e| h * pdf(e) * f(m + v.sqrt() * e))
            .sum()
    }

    #[test]
    fn moments_are_those_of_quadrature() {
        let g = |x: f64| x * cdf(x);
        let slope = |x: f64| cdf(x) + x * pdf(x);
        let curvature = |x: f64| (2.0 - x * x) * pdf(x);
        for m in [-6.0, -2.0, -0.3, 0.0, 0.7, 3.0, 10.0] {
            for v in [1e-4, 0.1, 0.49, 1.0, 4.0, 30.0] {
                let got = gelu_moments(m, v);
                let mean = expectation(m, v, g);
                let want = [
                    (got.mean, mean),
                    (got.variance, expectation(m, v, |x| (g(x) - mean).powi(2))),
                    (got.slope, expectation(m, v, slope)),
                    (got.curvature, expectation(m, v, curvature)),
                ];
                for (i, (got, want)) in want.into_iter().enumerate() {
                    // Differences of numbers up to m^2 + v.
                    let tolerance = 4e-15 * (1.0 + m * m + v) * 4.0;
                    assert!((got - want).abs() < tolerance, "{m} {v} {i}: {got} {want}");
                }
            }
        }
    }
}
