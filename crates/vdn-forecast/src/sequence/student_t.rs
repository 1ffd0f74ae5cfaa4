//! The distribution function of Student's t in `f64`, for quantiles of forecasts.

use vdn_tensor::math::gamma::ln_gamma;

/// Returns `P(Y <= x)` of the standard Student's t with `nu` degrees of freedom. With
/// `w = nu / (nu + x^2)`, the lower tail is `I_w(nu/2, 1/2) / 2` (Abramowitz and Stegun 26.7.1 and
/// 26.5.2).
pub(super) fn cdf(nu: f64, x: f64) -> f64 {
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    // Both arguments, x and 1 - x, are computed without cancellation.
    let square = x * x;
    let tail = 0.5 * incomplete_beta(0.5 * nu, 0.5, nu / (nu + square), square / (nu + square));
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The regularised incomplete beta function `I_x(a, b)`, with `y = 1 - x`.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * y.ln()).exp();
    // The continued fraction converges fast below the mean of the distribution.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, y) / b
    }
}

/// The continued fraction of Abramowitz and Stegun 26.5.8, by the method of Lentz (1976).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |x: f64| if x.abs() < TINY { TINY } else { x };
    let (mut c, mut d) = (1.0, 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for m in 1..1000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / nonzero(1.0 + term * d);
            c = nonzero(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::cdf;
    use std::f64::consts::PI;

    #[test]
    fn closed_forms_for_small_degrees_of_freedom() {
        for x in [-1e6, -40.0, -3.0, -0.7, -1e-3, 0.0, 1e-9, 0.2, 1.0, 2.5, 17.0, 1e4] {
            let square: f64 = x * x;
            // Degrees of freedom 1, 2 and 4 (Abramowitz and Stegun 26.7.3 and 26.7.4).
            let one = 0.5 + x.atan() / PI;
            let two = 0.5 + x / (2.0 * (2.0 + square).sqrt());
            let sine = x / (4.0 + square).sqrt();
            let four = 0.5 + 0.5 * sine * (1.0 + 0.5 * (4.0 / (4.0 + square)));
            for (nu, want) in [(1.0, one), (2.0, two), (4.0, four)] {
                let got = cdf(nu, x);
                // The closed forms themselves suffer from cancellation in the lower tail.
                assert!((got - want).abs() < 1e-14, "{nu} {x}: {got} {want}");
            }
        }
    }

    #[test]
    fn far_tails_keep_their_digits() {
        // Cauchy: P(Y < -x) = atan(1/x)/pi.
        for x in [1e3, 1e8, 1e15] {
            let want = (1.0_f64 / x).atan() / PI;
            assert!((cdf(1.0, -x) / want - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
