//! The logarithm of the gamma function, its derivative, and differences of both, in `f64`. They
//! serve for the constants of distributions, not for lanes.
//!
//! Method: the recurrence up to 12, then Stirling's series (Abramowitz and Stegun 6.1.41 and
//! 6.3.18). With the seven terms used, the first omitted term is below 5e-17 at 12.

/// The argument from which Stirling's series is used.
const FROM: f64 = 12.0;

/// Returns `ln Gamma(x)` for `x > 0`. The worst absolute error is about 4 units of 2^-53 times
/// `max(1, x ln x)`.
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
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + stirling(x) - f64::ln(product)
}

/// Returns the amount that Stirling's series adds to `(x - 1/2) ln x - x + ln(2 pi)/2`.
fn stirling(x: f64) -> f64 {
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
    coefficients.iter().rev().fold(0.0, |sum, c| sum * y + c) / x
}

/// Returns `y - y ln y + ln y!` for `y >= 0`: the smallest negative log-probability that a Poisson
/// distribution of any rate can give to the count `y`.
///
/// The result is about `ln(2 pi y) / 2`. The difference of the large terms would lose its digits,
/// so large counts use Stirling's series.
///
/// ```
/// use vdn_tensor::math::gamma::least_poisson_nll;
/// assert_eq!(least_poisson_nll(0.0), 0.0);
/// // The logarithm of the factorial is a difference of terms of size 30.
/// assert!((least_poisson_nll(2.0) - (2.0 - 2.0 * 2_f64.ln() + 2_f64.ln())).abs() < 1e-14);
/// assert!((least_poisson_nll(1e20) - 0.5 * (std::f64::consts::TAU * 1e20).ln()).abs() < 1e-14);
/// ```
#[must_use]
pub fn least_poisson_nll(y: f64) -> f64 {
    if y <= 0.0 {
        return 0.0;
    }
    if y < FROM {
        return y - y * y.ln() + ln_gamma(y + 1.0);
    }
    0.5 * (std::f64::consts::TAU * y).ln() + stirling(y)
}

/// Returns `d ln Gamma(x) / dx` for `x > 0`.
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
    x.ln() - 0.5 / x - stirling_slope(x) - sum
}

/// Returns the amount that the series subtracts from `ln x - 1 / (2 x)`.
fn stirling_slope(x: f64) -> f64 {
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
    coefficients.iter().rev().fold(0.0, |sum, c| sum * y + c) * y
}

/// The number of factors up to which a rising factorial is multiplied out.
const FACTORS: f64 = 16.0;

/// Returns `ln Gamma(x + n) - ln Gamma(x)` for `x > 0` and a whole number `n` from 0 on: the
/// logarithm of `x (x + 1) ... (x + n - 1)`, without the cancellation of the two terms for large
/// `x`.
///
/// ```
/// use vdn_tensor::math::gamma::ln_rising;
/// assert!((ln_rising(3.0, 4.0) - 360_f64.ln()).abs() < 1e-14);
/// // The plain difference is 0 here.
/// assert!((ln_rising(1e17, 2.0) / 1e34_f64.ln() - 1.0).abs() < 1e-15);
/// ```
#[must_use]
pub fn ln_rising(x: f64, n: f64) -> f64 {
    if n <= FACTORS {
        return (0..n as u32).map(|k| (x + f64::from(k)).ln()).sum();
    }
    if x < FROM {
        return ln_gamma(x + n) - ln_gamma(x);
    }
    (x - 0.5) * (n / x).ln_1p() + n * (x + n).ln() - n + stirling(x + n) - stirling(x)
}

/// Returns the derivative of [`ln_rising`] with respect to `x`: `psi(x + n) - psi(x)`.
///
/// ```
/// use vdn_tensor::math::gamma::rising_slope;
/// assert!((rising_slope(2.0, 3.0) - (1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0)).abs() < 1e-15);
/// ```
#[must_use]
pub fn rising_slope(x: f64, n: f64) -> f64 {
    if n <= FACTORS {
        return (0..n as u32).map(|k| 1.0 / (x + f64::from(k))).sum();
    }
    if x < FROM {
        return digamma(x + n) - digamma(x);
    }
    (n / x).ln_1p() + 0.5 * n / (x * (x + n)) + stirling_slope(x) - stirling_slope(x + n)
}

/// The degrees of freedom from which the norm of Student's t is computed by a series in their
/// inverse. At 60 the first omitted term is `31/36 60^-9 = 9e-17`.
const MANY: f64 = 60.0;

/// Returns the logarithm of the standard density of Student's t at 0,
/// `ln Gamma((nu + 1)/2) - ln Gamma(nu/2) - ln(nu pi)/2`, for `nu > 0` degrees of freedom. From 60
/// on it uses the series of `ln Gamma(x + 1/2) - ln Gamma(x)`, which follows from Abramowitz and
/// Stegun 6.1.40.
///
/// ```
/// use vdn_tensor::math::gamma::student_t_log_norm;
/// assert!((student_t_log_norm(1.0) + std::f64::consts::PI.ln()).abs() < 1e-15);
/// assert!((student_t_log_norm(1e9) + 0.5 * std::f64::consts::TAU.ln()).abs() < 1e-9);
/// ```
#[must_use]
pub fn student_t_log_norm(nu: f64) -> f64 {
    if nu < MANY {
        let gammas = ln_gamma(0.5 * (nu + 1.0)) - ln_gamma(0.5 * nu);
        return gammas - 0.5 * (nu * std::f64::consts::PI).ln();
    }
    let (x, y) = (1.0 / nu, 1.0 / (nu * nu));
    let series = -1.0 / 4.0 + y * (1.0 / 24.0 + y * (-1.0 / 20.0 + y * 17.0 / 112.0));
    x * series - 0.5 * std::f64::consts::TAU.ln()
}

/// Returns the derivative of [`student_t_log_norm`] with respect to `nu`.
///
/// ```
/// use vdn_tensor::math::gamma::student_t_log_norm_slope;
/// // psi(1) - psi(1/2) = 2 ln 2.
/// assert!((student_t_log_norm_slope(1.0) - (std::f64::consts::LN_2 - 0.5)).abs() < 1e-15);
/// ```
#[must_use]
pub fn student_t_log_norm_slope(nu: f64) -> f64 {
    if nu < MANY {
        return 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / nu);
    }
    let y = 1.0 / (nu * nu);
    y * (1.0 / 4.0 + y * (-1.0 / 8.0 + y * (1.0 / 4.0 - y * 17.0 / 16.0)))
}
