//! The logarithm of the gamma function and its derivative, in `f64`: for the constants of distributions, not for lanes.
//!
//! Recurrence up to 12, then Stirling's series (Abramowitz and Stegun 6.1.41 and 6.3.18). With the seven terms used the
//! first omitted one is below 5e-17 at 12.

/// From here on Stirling's series is used.
const FROM: f64 = 12.0;

/// `ln Gamma(x)` for `x > 0`. Worst absolute error about 4 units of 2^-53 times `max(1, x ln x)`.
///
/// ```
/// use vdn_tensor::math::gamma::ln_gamma;
/// assert!((ln_gamma(0.5) - 0.5 * std::f64::consts::PI.ln()).abs() < 1e-14);
/// assert!((ln_gamma(7.0) - 720_f64.ln()).abs() < 1e-14);
/// ```
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < FROM {
        product *= x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let coefficients = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let series = coefficients.iter().rev().fold(0.0, |sum, c| sum * y + c);
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series / x - f64::ln(product)
}

/// `d ln Gamma(x) / dx` for `x > 0`.
///
/// ```
/// use vdn_tensor::math::gamma::digamma;
/// // psi(1) = -gamma (Euler's constant), psi(1/2) = -gamma - 2 ln 2.
/// let euler = 0.577_215_664_901_532_9;
/// assert!((digamma(1.0) + euler).abs() < 1e-14);
/// assert!((digamma(0.5) + euler + 2.0 * std::f64::consts::LN_2).abs() < 1e-14);
/// ```
#[must_use]
pub fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < FROM {
        sum += 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let coefficients = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32_760.0,
        1.0 / 12.0,
    ];
    let series = coefficients.iter().rev().fold(0.0, |sum, c| sum * y + c);
    x.ln() - 0.5 / x - series * y - sum
}
