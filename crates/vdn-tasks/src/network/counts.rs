//! Quantiles of the distributions from which counts are drawn.
//!
//! A count is drawn as a quantile at a uniform number. A negative binomial count needs two steps:
//! its Poisson rate is a quantile of a Gamma distribution, and the count is a Poisson quantile at
//! this rate. Exact sums and series serve small rates and shapes; normal approximations replace
//! them where sums would take long.

use vdn_tensor::math::gamma::ln_gamma;
use vdn_train::metrics::normal;

/// The rate above which a rounded normal distribution approximates a Poisson distribution. A sum of
/// terms would take long, and the difference is below a thousandth of a deviation.
const NORMAL_RATE: f64 = 1e4;

/// The shape above which the cube of a normal variable approximates a Gamma variable (Wilson and
/// Hilferty 1931). The error is below 1e-5 of the mean.
const CUBE_SHAPE: f64 = 1e3;

/// The smallest count at which the distribution function is at least `u`.
pub(crate) fn poisson_quantile(rate: f64, u: f64) -> f64 {
    if rate > NORMAL_RATE {
        return (rate + rate.sqrt() * normal::quantile(u)).round().max(0.0);
    }
    // The sum starts near the mode, at a count whose probability is not 0 in double precision.
    let mut count = (rate - 40.0 * rate.sqrt() - 40.0).floor().max(0.0);
    let mut ln_p = count * rate.ln() - rate - ln_gamma(count + 1.0);
    if rate == 0.0 {
        return 0.0;
    }
    let mut below = ln_p.exp();
    while below < u && count < rate + 60.0 * rate.sqrt() + 60.0 {
        count += 1.0;
        ln_p += (rate / count).ln();
        below += ln_p.exp();
    }
    count
}

/// The quantile of a Gamma distribution with this shape and scale 1. The probability below it is
/// the probability below `z` in a standard normal distribution.
pub(crate) fn gamma_at(shape: f64, z: f64) -> f64 {
    if shape > CUBE_SHAPE {
        let root = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt());
        return shape * root.max(0.0).powi(3);
    }
    // Newton's method on the smaller of the two tails, with bisection as a safeguard. `x` and the
    // tail are logarithms. The first bound is `P(x) <= x^shape / Gamma(shape + 1)`.
    let upper = z > 0.0;
    let goal = normal::ln_cdf(-z.abs());
    let ln_below = if upper { (-goal.exp()).ln_1p() } else { goal };
    let mut low = (ln_below + ln_gamma(shape + 1.0)) / shape;
    let mut high = (2.0 * shape + 100.0).ln().max(low);
    let mut t = low;
    for _ in 0..200 {
        let (tail, slope) = ln_tail(shape, t, upper);
        let excess = tail - goal;
        if (excess > 0.0) == upper {
            low = t
        } else {
            high = t
        }
        let newton = t - excess / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - t).abs() <= 1e-12 * t.abs().max(1.0) {
            return next.exp();
        }
        t = next;
    }
    t.exp()
}

/// The logarithm of the probability above `x = e^t` (or below it, without `upper`), and the
/// derivative of this logarithm with respect to `t`.
fn ln_tail(shape: f64, t: f64, upper: bool) -> (f64, f64) {
    let x = t.exp();
    // `x` times the density.
    let ln_density = shape * t - x - ln_gamma(shape);
    let (ln_small, above) = if x < shape + 1.0 {
        // The series of the lower incomplete gamma function.
        let (mut term, mut sum, mut k) = (1.0, 1.0, shape);
        while term > 1e-17 * sum {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        (ln_density - shape.ln() + sum.ln(), false)
    } else {
        // The continued fraction of the upper incomplete gamma function, by Lentz's method.
        let mut b = x + 1.0 - shape;
        let (mut c, mut d) = (1e300, 1.0 / b);
        let mut fraction = d;
        for i in 1..10_000 {
            let i = f64::from(i);
            let a = i * (shape - i);
            b += 2.0;
            d = 1.0 / (a * d + b);
            c = b + a / c;
            fraction *= c * d;
            if (c * d - 1.0).abs() < 1e-16 {
                break;
            }
        }
        (ln_density + fraction.ln(), true)
    };
    let ln_tail = if above == upper { ln_small } else { (-ln_small.exp().min(1.0)).ln_1p() };
    let slope = (ln_density - ln_tail).exp();
    (ln_tail, if upper { -slope } else { slope })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the shape 1 the distribution is exponential. With the shape 1/2 it is the distribution
    /// of half the square of a normal variable. Both have quantiles in closed form.
    #[test]
    fn quantiles_of_gamma_are_those_of_closed_forms() {
        for z in [-7.0, -3.0, -0.5, 0.0, 0.5, 2.0, 6.0] {
            // Below 0, `1 - P` would lose the digits of `P`.
            let exponential = match z < 0.0 {
                true => -(-normal::cdf(z)).ln_1p(),
                false => -normal::ln_cdf(-z),
            };
            let found = gamma_at(1.0, z);
            assert!((found / exponential - 1.0).abs() < 1e-9, "{z}: {found} {exponential}");
            if z < -4.0 {
                continue;
            }
            // P(w^2 / 2 <= x) = 1 - 2 P(w > sqrt(2 x)).
            let square = 0.5 * normal::quantile(0.5 * normal::cdf(-z)).powi(2);
            let found = gamma_at(0.5, z);
            assert!((found / square - 1.0).abs() < 1e-6, "{z}: {found} {square}");
        }
    }

    #[test]
    fn quantiles_of_gamma_are_continuous_in_the_shape_and_have_its_moments() {
        for z in [-4.0, -1.0, 0.0, 1.0, 4.0] {
            let [a, b] = [0.999_999, 1.000_001].map(|by| gamma_at(by * CUBE_SHAPE, z));
            assert!((a / b - 1.0).abs() < 1e-4, "{z}: {a} {b}");
        }
        for shape in [1e-3, 0.2, 3.0, 40.0, 1e5] {
            // The midpoint rule over z, with the normal density as its weight.
            let (mut mass, mut mean, mut square) = (0.0, 0.0, 0.0);
            for i in -8000..8000 {
                let z = (f64::from(i) + 0.5) * 1e-3;
                let (p, x) = (1e-3 * normal::pdf(z), gamma_at(shape, z));
                (mass, mean, square) = (mass + p, mean + p * x, square + p * x * x);
            }
            let variance = square - mean * mean;
            assert!((mass - 1.0).abs() < 1e-9, "{mass}");
            assert!((mean / shape - 1.0).abs() < 1e-5, "{shape}: {mean}");
            assert!((variance / shape - 1.0).abs() < 1e-3, "{shape}: {variance}");
        }
    }
}
