//! Forecasts of quantities with a lower limit: the probability mass of a normal distribution below
//! the limit moves to the limit.
//!
//! `Y = max(X, f)` for `X ~ Normal(m, s^2)` has a rectified normal distribution: a mass `Φ(a)` at
//! the limit `f`, with `a = (f - m)/s`, and the normal density above it. For a standard normal `Z`
//! let `e1 = E max(Z - a, 0) = φ(a) - a Φ(-a)` and
//! `e2 = E max(Z - a, 0)^2 = (1 + a^2) Φ(-a) - a φ(a)`. Then
//!
//! ```text
//! mean = f + s e1        variance = s^2 (e2 - e1^2)        quantile(t) = max(quantile of X at t, f)
//! ```
//!
//! For a value `y >= f` the CRPS is the CRPS of `X` minus the `integral of F(x)^2 from -inf to f`,
//! so it is never larger than without the limit. For one component the integral is
//! `s [a Φ(a)^2 + 2 φ(a) Φ(a) - Φ(a sqrt 2)/sqrt(pi)]`. For several components it is computed by
//! Gauss-Legendre quadrature.

use crate::metrics::folded::table;
use crate::metrics::mixture::Mixture;
use crate::metrics::normal::{cdf, pdf, upper_tail};
use std::f64::consts::{PI, SQRT_2};

/// The number of deviations below the mean at which a limit has no more effect: `Φ(-9)` is 1e-19.
const FAR: f64 = 9.0;

/// The positive nodes of the Gauss-Legendre rule of order 16 (8 nodes) on `[-1, 1]`, with weights.
const RULE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_5),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_3),
];

/// The largest number of panels in the quadrature. Each panel is as wide as the narrowest
/// component, if this number is sufficient.
const MOST_PANELS: f64 = 4096.0;

/// The mean of `max(X, floor)` for `X ~ Normal(mean, sigma^2)`, `sigma > 0`.
///
/// ```
/// use vdn_train::metrics::floor::rectified_mean;
/// // Half of a standard normal: 1 / sqrt(2 pi).
/// assert!((rectified_mean(0.0, 1.0, 0.0) - 0.398_942_280_401_432_7).abs() < 1e-15);
/// assert_eq!(rectified_mean(5.0, 0.1, 0.0), 5.0);
/// ```
#[must_use]
pub fn rectified_mean(mean: f64, sigma: f64, floor: f64) -> f64 {
    let a = (floor - mean) / sigma;
    if a < -FAR { mean } else { floor + sigma * first(a) }
}

/// The variance of `max(X, floor)` for `X ~ Normal(mean, sigma^2)`.
pub(crate) fn rectified_variance(mean: f64, sigma: f64, floor: f64) -> f64 {
    let a = (floor - mean) / sigma;
    if a < -FAR {
        return sigma * sigma;
    }
    let second = (1.0 + a * a) * upper_tail(a) - a * pdf(a);
    sigma * sigma * (second - first(a).powi(2)).max(0.0)
}

/// `E max(Z - a, 0)`.
fn first(a: f64) -> f64 {
    (pdf(a) - a * upper_tail(a)).max(0.0)
}

/// The integral of the squared distribution function of `mixture` (without its limit) from minus
/// infinity to `floor`.
pub(crate) fn squared_mass_below(mixture: &Mixture<'_>, floor: f64) -> f64 {
    if mixture.samples() == 1 {
        let sigma = mixture.sigma(0);
        return sigma * of_one((floor - mixture.means()[0]) / sigma);
    }
    let used = || (0..mixture.samples()).filter(|&s| mixture.weight(s) > 0.0);
    let low =
        used().map(|s| mixture.means()[s] - FAR * mixture.sigma(s)).fold(f64::INFINITY, f64::min);
    if floor <= low {
        return 0.0;
    }
    let narrowest = used().map(|s| mixture.sigma(s)).fold(f64::INFINITY, f64::min);
    let panels = ((floor - low) / narrowest).ceil().clamp(1.0, MOST_PANELS);
    let half = 0.5 * (floor - low) / panels;
    let table = table();
    let square = |x: f64| {
        let below = |s: usize| table.cdf_pdf((x - mixture.means()[s]) / mixture.sigma(s)).0;
        mixture.average(below).powi(2)
    };
    let panel = |i: usize| -> f64 {
        let middle = low + (2 * i + 1) as f64 * half;
        let pair =
            |(x, w): &(f64, f64)| w * (square(middle - half * x) + square(middle + half * x));
        RULE.iter().map(pair).sum()
    };
    half * (0..panels as usize).map(panel).sum::<f64>()
}

/// `integral of Φ(z)^2 from -inf to a`.
fn of_one(a: f64) -> f64 {
    if a < -FAR {
        return 0.0;
    }
    let below = cdf(a);
    (a * below * below + 2.0 * pdf(a) * below - cdf(a * SQRT_2) / PI.sqrt()).max(0.0)
}

#[cfg(test)]
mod tests {
    use crate::metrics::normal;
    use crate::metrics::{Mixture, WindowPrediction, mixture_crps, window_nll};

    /// `P(max(X, floor) <= x)` of a mixture.
    fn cdf(mixture: &Mixture<'_>, floor: f64, x: f64) -> f64 {
        let below = |s: usize| normal::cdf((x - mixture.means()[s]) / mixture.sigma(s));
        let all = (0..mixture.samples()).map(|s| mixture.weight(s) * below(s));
        if x < floor { 0.0 } else { all.sum() }
    }

    /// An integral by the midpoint rule with 20 000 cells. For a second derivative up to 10 and a
    /// length of 9 the error is below 9 (9/20000)^2 10 / 24 = 8e-7.
    fn integral(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
        let cell = (to - from) / 20_000.0;
        (0..20_000).map(|i| cell * f(from + (f64::from(i) + 0.5) * cell)).sum()
    }

    #[test]
    fn all_scores_are_those_of_the_rectified_distribution() {
        /// Means, deviations, weights.
        type Case = (&'static [f64], &'static [f64], Option<&'static [f64]>);
        let cases: [Case; 4] = [
            (&[0.3], &[0.8], None),
            (&[-1.0], &[0.7], None),
            (&[-0.4, 0.9, 0.2], &[0.6], None),
            (&[-0.4, 0.9], &[0.3, 0.9], Some(&[0.75, 0.25])),
        ];
        for (means, sigma, weights) in cases {
            let free = Mixture::new(means, sigma, weights).unwrap();
            for floor in [-0.5, 0.0, 0.6] {
                let limited = free.with_floor(floor);
                let upper = |x: f64| 1.0 - cdf(&free, floor, x);
                let mean = floor + integral(floor, 8.0, upper);
                assert!((limited.mean() - mean).abs() < 1e-6, "{means:?} {floor}");
                let square = integral(floor, 8.0, |x| 2.0 * (x - floor) * upper(x));
                let variance = square - (mean - floor).powi(2);
                assert!((limited.variance() - variance).abs() < 1e-5, "{means:?} {floor}");
                for y in [floor, floor + 0.4, floor + 2.0, floor - 0.3] {
                    let gap = |x: f64| (cdf(&free, floor, x) - f64::from(u8::from(x >= y))).powi(2);
                    // The pieces meet at the jumps.
                    let [low, high] = [y.min(floor), y.max(floor)];
                    let crps = integral(low, high, gap) + integral(high, 8.0, gap);
                    let found = mixture_crps(&limited, y);
                    assert!((found - crps).abs() < 2e-6, "{means:?} {floor} {y}: {found} {crps}");
                    if y >= floor {
                        assert!(found <= mixture_crps(&free, y), "{means:?} {floor} {y}");
                    }
                }
                for tau in [0.01, 0.3, 0.5, 0.95] {
                    let quantile = limited.quantile(tau).unwrap();
                    assert_eq!(quantile, free.quantile(tau).unwrap().max(floor));
                }
                assert_eq!(limited.cdf(floor - 1e-9), 0.0);
                assert_eq!(limited.cdf(floor), free.cdf(floor));
            }
        }
    }

    #[test]
    fn quadrature_and_closed_form_agree() {
        // One component, written as two equal components, goes through the quadrature.
        for (mean, sigma, floor) in [(0.3, 0.8, 0.0), (-3.0, 0.5, 0.0), (4.0, 1.0, 0.0)] {
            let (means, sigma) = ([mean, mean], [sigma]);
            let one = Mixture::new(&means[..1], &sigma, None).unwrap().with_floor(floor);
            let two = Mixture::new(&means, &sigma, None).unwrap().with_floor(floor);
            for y in [floor, floor + 0.7] {
                let (a, b) = (mixture_crps(&one, y), mixture_crps(&two, y));
                assert!((a - b).abs() < 1e-13, "{mean} {sigma:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn a_value_at_the_limit_has_the_probability_of_the_limit() {
        let (means, sigma) = ([0.5, 0.5], [1.0, 1.0]);
        let prediction = WindowPrediction::gaussian(&means, &sigma).unwrap();
        let limited = prediction.with_floor(0.0).unwrap();
        let nll = window_nll(&limited, &[0.0, 1.0]).unwrap();
        let expected = -normal::cdf(-0.5).ln() - normal::ln_pdf(0.5);
        assert!((nll.marginal - 0.5 * expected).abs() < 1e-15, "{nll:?}");
        assert!(prediction.with_floor(f64::NAN).is_err());
    }

    #[test]
    fn a_limit_far_below_changes_nothing() {
        let (means, sigma) = ([1e6, 2e6], [3.0]);
        let free = Mixture::new(&means, &sigma, None).unwrap();
        let limited = free.with_floor(0.0);
        assert_eq!((limited.mean(), limited.variance()), (free.mean(), free.variance()));
        assert_eq!(mixture_crps(&limited, 1e6), mixture_crps(&free, 1e6));
    }
}
