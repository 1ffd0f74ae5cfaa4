//! [`Observation`]: the distribution of one target given a sample of the units, as plain numbers.

use crate::network::counts::{gamma_at, poisson_quantile};
use crate::network::{Likelihood, Prediction, TaskNetwork};
use vdn_model::core::streams::{EVALUATION_STEP, TARGET_DRAWS};
use vdn_tensor::Real;
use vdn_tensor::families::gaussian::exp_m1_minus;
use vdn_tensor::families::{Family, StudentT};
use vdn_tensor::math::gamma::{least_poisson_nll, ln_gamma, ln_rising};
use vdn_train::metrics::normal;
use vdn_train::network::NoiseSeed;

/// The number of draws per sample of the units if there is no closed form.
const DRAWS: usize = 16;

/// The distribution of one target given a sample of the units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// `Normal(location, scale^2)`.
    Gaussian([f64; 2]),
    /// Student's t with location and scale.
    StudentT(StudentT, [f64; 2]),
    /// Laplace with location and scale.
    Laplace([f64; 2]),
    /// Poisson with the logarithm of its rate.
    Poisson(f64),
    /// Negative binomial with the logarithm of its mean, and its dispersion. The variance is
    /// `mean + dispersion mean^2`.
    NegativeBinomial([f64; 2]),
}

impl Observation {
    /// The logarithm of the density at `y`, or of the probability of a count.
    ///
    /// ```
    /// use vdn_tasks::network::Observation;
    /// let poisson = Observation::Poisson(2_f64.ln());
    /// // e^-2 2^3 / 3!
    /// assert!((poisson.ln_density(3.0) - ((-2_f64).exp() * 8.0 / 6.0).ln()).abs() < 1e-14);
    /// let laplace = Observation::Laplace([1.0, 0.5]);
    /// assert!((laplace.ln_density(2.0) + 2.0).abs() < 1e-15); // ln(1 / (2 scale)) - 1 / scale
    /// ```
    #[must_use]
    pub fn ln_density(&self, y: f64) -> f64 {
        match *self {
            Self::Gaussian([location, scale]) => {
                normal::ln_pdf((y - location) / scale) - scale.ln()
            }
            Self::StudentT(family, [location, scale]) => {
                family.log_density([location, scale.ln()], y)
            }
            Self::Laplace([location, scale]) => {
                -((y - location) / scale).abs() - (2.0 * scale).ln()
            }
            // The form `y (e^d - 1 - d)` loses no digits for large counts.
            Self::Poisson(log_rate) if y >= 1.0 => {
                let d = log_rate - y.ln();
                -least_poisson_nll(y) - y * exp_m1_minus(d)
            }
            Self::Poisson(log_rate) => y * log_rate - log_rate.exp() - ln_gamma(y + 1.0),
            Self::NegativeBinomial([log_mean, dispersion]) => {
                let (total, t) = (1.0 / dispersion, log_mean + dispersion.ln());
                ln_rising(total, y) - ln_gamma(y + 1.0) - y * (-t).softplus() - total * t.softplus()
            }
        }
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Gaussian([location, _])
            | Self::StudentT(_, [location, _])
            | Self::Laplace([location, _]) => location,
            Self::Poisson(log_mean) | Self::NegativeBinomial([log_mean, _]) => log_mean.exp(),
        }
    }

    /// The variance.
    #[must_use]
    pub fn variance(&self) -> f64 {
        match *self {
            Self::Gaussian([_, scale]) => scale * scale,
            Self::StudentT(family, [_, scale]) => family.standard_variance() * scale * scale,
            Self::Laplace([_, scale]) => 2.0 * scale * scale,
            Self::Poisson(log_rate) => log_rate.exp(),
            Self::NegativeBinomial([log_mean, dispersion]) => {
                let mean = log_mean.exp();
                mean + dispersion * mean * mean
            }
        }
    }

    /// The value at which the distribution function is `u`, in (0, 1); for a uniform `u` it is a
    /// draw. For Student's t, a draw uses two standard normals instead. For the negative binomial
    /// distribution, the first normal determines a Poisson rate with a Gamma distribution, and `u`
    /// determines the count at this rate.
    #[must_use]
    pub fn draw(&self, u: f64, noise: [f64; 2]) -> f64 {
        match *self {
            Self::Gaussian([location, scale]) => location + scale * normal::quantile(u),
            Self::StudentT(family, [location, scale]) => {
                family.sample([location, scale.ln()], noise)
            }
            Self::Laplace([location, scale]) => {
                let tail = if u < 0.5 { (2.0 * u).ln() } else { -(2.0 * (1.0 - u)).ln() };
                location + scale * tail
            }
            Self::Poisson(log_rate) => poisson_quantile(log_rate.exp(), u),
            Self::NegativeBinomial([log_mean, dispersion]) => {
                let shape = 1.0 / dispersion;
                let gamma = gamma_at(shape, noise[0]);
                poisson_quantile(log_mean.exp() * gamma / shape, u)
            }
        }
    }

    /// The same distribution with another scale or dispersion. Poisson is unchanged.
    #[must_use]
    pub fn rescaled(self, scale: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Gaussian([location, own]) => Self::Gaussian([location, scale(own)]),
            Self::StudentT(family, [location, own]) => {
                Self::StudentT(family, [location, scale(own)])
            }
            Self::Laplace([location, own]) => Self::Laplace([location, scale(own)]),
            Self::Poisson(log_rate) => Self::Poisson(log_rate),
            Self::NegativeBinomial([log_mean, own]) => {
                Self::NegativeBinomial([log_mean, scale(own)])
            }
        }
    }

    /// The distribution of `shift + factor * y`. Counts are unchanged.
    #[must_use]
    pub fn mapped(self, shift: f64, factor: f64) -> Self {
        let map = |[location, scale]: [f64; 2]| [shift + factor * location, factor * scale];
        match self {
            Self::Gaussian(parameters) => Self::Gaussian(map(parameters)),
            Self::StudentT(family, parameters) => Self::StudentT(family, map(parameters)),
            Self::Laplace(parameters) => Self::Laplace(map(parameters)),
            counts => counts,
        }
    }
}

/// Equally many draws from each part. `noise` addresses the draws of row `row`.
pub(crate) fn draws(parts: &[Observation], noise: NoiseSeed, row: u64) -> Vec<f64> {
    let key = noise.key(TARGET_DRAWS, EVALUATION_STEP).fold_in(row);
    let count = parts.len() * DRAWS;
    let (mut uniform, mut normal) = (vec![0.0_f64; count], vec![0.0_f64; 2 * count]);
    key.fill_uniform(0, &mut uniform);
    key.fold_in(1).fill_normal(0, &mut normal);
    // The quantiles at 0 and 1 are not finite.
    let inside = |u: f64| u.clamp(1e-12, 1.0 - 1e-12);
    let of = |i: usize| {
        let pair = [normal[2 * i], normal[2 * i + 1]];
        parts[i / DRAWS].draw(inside(uniform[i]), pair)
    };
    (0..count).map(of).collect()
}

impl TaskNetwork {
    /// The distribution of target `output` of `row` given sample `sample`; `None` for classes.
    #[must_use]
    pub fn observation(
        &self,
        prediction: &Prediction,
        [sample, row, output]: [usize; 3],
    ) -> Option<Observation> {
        let location = prediction.outputs(sample, row)[output];
        let scale = prediction.scale(sample, row, output);
        match (self.config.likelihood, scale) {
            (Likelihood::Gaussian, Some(scale)) => Some(Observation::Gaussian([location, scale])),
            (Likelihood::StudentT, Some(scale)) => {
                Some(Observation::StudentT(self.student_t(), [location, scale]))
            }
            (Likelihood::Laplace, Some(scale)) => Some(Observation::Laplace([location, scale])),
            (Likelihood::Poisson, _) => Some(Observation::Poisson(location)),
            (Likelihood::NegativeBinomial, Some(dispersion)) => {
                Some(Observation::NegativeBinomial([location, dispersion]))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_sum_to_one_and_draws_have_the_moments() {
        let t = StudentT::new(5.0).unwrap();
        let cases = [
            Observation::Gaussian([0.3, 0.8]),
            Observation::StudentT(t, [-0.4, 0.5]),
            Observation::Laplace([1.2, 0.7]),
            Observation::Poisson(1.3),
            Observation::NegativeBinomial([1.3, 0.6]),
            Observation::NegativeBinomial([0.2, 1e-12]),
        ];
        for own in cases {
            let negative_binomial = matches!(own, Observation::NegativeBinomial(_));
            let count = negative_binomial || matches!(own, Observation::Poisson(_));
            let step = if count { 1.0 } else { 0.002 };
            let grid = (0..100_000).map(|i| f64::from(i) * step - if count { 0.0 } else { 100.0 });
            let (mut mass, mut mean, mut square) = (0.0, 0.0, 0.0);
            for y in grid {
                let p = step * own.ln_density(y).exp();
                mass += p;
                mean += p * y;
                square += p * y * y;
            }
            // The tails of Student's t beyond 100 hold 1e-9. The trapezoidal rule is exact to
            // rounding for smooth densities, and to step^2 / 12 for Laplace's kink.
            assert!((mass - 1.0).abs() < 1e-6, "{own:?}: {mass}");
            assert!((mean - own.mean()).abs() < 1e-5, "{own:?}: {mean}");
            if negative_binomial {
                let variance = square - mean * mean;
                assert!((variance / own.variance() - 1.0).abs() < 1e-6, "{own:?}: {variance}");
            }
            if negative_binomial || matches!(own, Observation::StudentT(..)) {
                continue;
            }
            // Quantiles at midpoints of equal probabilities; their variance equals the variance of
            // the distribution.
            let n = 20_000;
            let draws: Vec<f64> =
                (0..n).map(|i| own.draw((f64::from(i) + 0.5) / f64::from(n), [0.0; 2])).collect();
            let variance =
                draws.iter().map(|y| (y - own.mean()).powi(2)).sum::<f64>() / f64::from(n);
            let error = (variance / own.variance() - 1.0).abs();
            assert!(error < 2e-3, "{own:?}: {variance} {}", own.variance());
        }
    }

    #[test]
    fn counts_of_large_rates_have_their_quantiles() {
        for rate in [0.0_f64, 0.5, 30.0, 5000.0, 2e4] {
            let own = Observation::Poisson(rate.ln());
            let median = own.draw(0.5, [0.0; 2]);
            // The median of Poisson is within ln 2 below and 1/3 above the rate.
            assert!((median - rate).abs() <= 1.0, "{rate}: {median}");
        }
    }

    /// Draws of the negative binomial distribution over a grid of both sources (the normal and `u`)
    /// have the probabilities that its density states.
    #[test]
    fn draws_of_a_negative_binomial_have_its_probabilities() {
        let own = Observation::NegativeBinomial([1.1, 0.7]);
        let n = 400;
        let places: Vec<f64> = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect();
        let mut found = [0.0; 8];
        for &u in &places {
            for &v in &places {
                let y = own.draw(u, [normal::quantile(v), 0.0]);
                if let Some(to) = found.get_mut(y as usize) {
                    *to += 1.0 / f64::from(n * n);
                }
            }
        }
        for (y, share) in found.into_iter().enumerate() {
            let p = own.ln_density(y as f64).exp();
            assert!((share - p).abs() < 1e-3, "{y}: {share} {p}");
        }
    }
}
