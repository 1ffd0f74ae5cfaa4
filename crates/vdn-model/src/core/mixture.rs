//! Quantiles of a mixture of normals with a common deviation, for the intervals of forecasts.

use vdn_tensor::math::double::erf;

/// Returns the quantile `tau` of the mixture of `Normal(means[s], sigma^2)` with these weights
/// (uniform if `None`).
///
/// It is found by bisection of the distribution function, to a width of 1e-12 of the bracket: the
/// spread of the means plus 80 `sigma`.
///
/// Returns NaN if `tau` is outside (0, 1), the mixture is empty, a mean is not finite, or `sigma <=
/// 0` or NaN.
///
/// ```
/// use vdn_model::core::mixture_quantile;
/// let median = mixture_quantile(&[1.0, 3.0], None, 0.5, 0.5);
/// assert!((median - 2.0).abs() < 1e-9);
/// ```
#[must_use]
pub fn mixture_quantile(means: &[f64], weights: Option<&[f64]>, sigma: f64, tau: f64) -> f64 {
    if means.is_empty()
        || !(tau > 0.0 && tau < 1.0)
        || sigma.is_nan()
        || sigma <= 0.0
        || means.iter().any(|m| !m.is_finite())
    {
        return f64::NAN;
    }
    let cdf = |y: f64| -> f64 {
        let uniform = 1.0 / means.len() as f64;
        let phi = |m: f64| 0.5 * (1.0 + erf((y - m) / (sigma * std::f64::consts::SQRT_2)));
        means.iter().enumerate().map(|(s, &m)| weights.map_or(uniform, |w| w[s]) * phi(m)).sum()
    };
    // Beyond 40 deviations from the outermost means the distribution function is exactly 0 or 1 in
    // double precision.
    let (mut low, mut high) =
        means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &m| (a.min(m), b.max(m)));
    (low, high) = (low - 40.0 * sigma, high + 40.0 * sigma);
    let width = 1e-12 * (high - low);
    while high - low > width {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if cdf(middle) < tau { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
