//! [`Predictive`]: the predictive distribution of one target in one row, in the target's own units.

use crate::data::TargetScale;
use crate::network::{Observation, Prediction, TaskNetwork, draws, log_mean_exp};
use vdn_model::core::streams::{EVALUATION_STEP, TARGET_DRAWS};
use vdn_train::metrics::{MetricError, Mixture, SortedSample, mixture_crps, normal};
use vdn_train::network::NoiseSeed;

/// The distribution of one target: a mixture over samples of the units.
///
/// A mixture of normal distributions has quantiles and a CRPS in closed form. Other mixtures use
/// [`Predictive::draws`] for both; their density is exact.
#[derive(Clone, Debug)]
pub struct Predictive {
    parts: Vec<Observation>,
    outlier: Option<Outlier>,
    by: By,
    /// The position of a count inside its step of the distribution function, in (0, 1).
    inside: f64,
}

/// The distribution of rows that are unlike all training rows.
///
/// A network has no knowledge of kinds of rows that it has not seen, for example typing errors.
/// With the probability `share`, a target is drawn from a normal distribution that represents all
/// training targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// The probability, in (0, 1).
    pub share: f64,
    /// The mean and deviation of the training targets.
    pub parameters: [f64; 2],
}

/// The source of quantiles and the CRPS.
#[derive(Clone, Debug)]
enum By {
    Normals { means: Vec<f64>, sigma: Vec<f64>, weights: Option<Vec<f64>> },
    Draws(SortedSample),
}

impl Predictive {
    /// The mixture of these parts and of the outliers' distribution. `noise` addresses the draws of
    /// row `row`, if draws are needed. Draws leave outliers out, which hardly affect quantiles.
    ///
    /// ```
    /// use vdn_tasks::evaluate::Predictive;
    /// use vdn_tasks::network::Observation;
    /// let parts = [-1.0, 1.0].map(|mean| Observation::Gaussian([mean, 1.0]));
    /// let predictive = Predictive::new(parts.to_vec(), None, 0.into(), 0)?;
    /// assert_eq!(predictive.mean(), 0.0);
    /// // Unbiased over two samples, the units' part of the variance is 2; that of the noise is 1.
    /// assert_eq!(predictive.variance_parts(), [2.0, 1.0]);
    /// assert!(predictive.quantile(0.5)?.abs() < 1e-12);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if there are no parts or if a part is not finite.
    pub fn new(
        parts: Vec<Observation>,
        outlier: Option<Outlier>,
        noise: NoiseSeed,
        row: u64,
    ) -> Result<Self, MetricError> {
        let normal = |part: &Observation| match *part {
            Observation::Gaussian(parameters) => Some(parameters),
            _ => None,
        };
        let normals: Option<Vec<[f64; 2]>> = parts.iter().map(normal).collect();
        let by = match normals {
            Some(mut normals) => {
                let weights = outlier.map(|outlier| {
                    let own = (1.0 - outlier.share) / normals.len() as f64;
                    normals.push(outlier.parameters);
                    let mut weights = vec![own; normals.len()];
                    weights[normals.len() - 1] = outlier.share;
                    weights
                });
                let means: Vec<f64> = normals.iter().map(|n| n[0]).collect();
                let sigma: Vec<f64> = normals.iter().map(|n| n[1]).collect();
                Mixture::new(&means, &sigma, weights.as_deref())?;
                By::Normals { means, sigma, weights }
            }
            None => By::Draws(SortedSample::new(draws(&parts, noise, row))?),
        };
        let mut inside = [0.0_f64];
        noise
            .key(TARGET_DRAWS, EVALUATION_STEP)
            .fold_in(row)
            .fold_in(2)
            .fill_uniform(0, &mut inside);
        Ok(Self { parts, outlier, by, inside: inside[0] })
    }

    /// The distribution of target `column` of `row` in a prediction, mapped back by the target's
    /// scale. If the likelihood has a scale, outliers have the probability `share`. `None` for
    /// classes.
    ///
    /// # Errors
    /// Returns the errors of [`Predictive::new`].
    pub fn of(
        network: &TaskNetwork,
        prediction: &Prediction,
        [row, column]: [usize; 2],
        (scale, share): (&TargetScale, f64),
        (noise, number): (NoiseSeed, u64),
    ) -> Result<Option<Self>, MetricError> {
        let of = |s| network.observation(prediction, [s, row, column]);
        let parts: Option<Vec<Observation>> = (0..prediction.shape[0]).map(of).collect();
        let Some(parts) = parts else { return Ok(None) };
        let mapped = parts.into_iter().map(|part| part.mapped(scale.mean, scale.std)).collect();
        let parameters = [scale.mean, scale.std];
        let has_scale = network.config().likelihood.has_scale();
        let outlier = has_scale.then_some(Outlier { share, parameters });
        Self::new(mapped, outlier, noise, number).map(Some)
    }

    /// The mean without outliers.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.parts.iter().map(Observation::mean).sum::<f64>() / self.parts.len() as f64
    }

    /// The variance of the units (the unbiased variance of the mean given their samples; 0 for one
    /// sample), and the variance of the output noise.
    #[must_use]
    pub fn variance_parts(&self) -> [f64; 2] {
        let (n, mean) = (self.parts.len() as f64, self.mean());
        let squares: f64 = self.parts.iter().map(|part| (part.mean() - mean).powi(2)).sum();
        let noise = self.parts.iter().map(Observation::variance).sum::<f64>() / n;
        [squares / (n - 1.0).max(1.0), noise]
    }

    /// The logarithm of the density at `y`, or of the probability of a count, in nats.
    #[must_use]
    pub fn ln_density(&self, y: f64) -> f64 {
        let l: Vec<f64> = self.parts.iter().map(|part| part.ln_density(y)).collect();
        let own = log_mean_exp(&l);
        match self.outlier {
            None => own,
            Some(outlier) => outlier.mixed(own, y),
        }
    }

    /// The CRPS at `y` in the unit of `y`: exact for normal mixtures, otherwise an unbiased
    /// estimate from draws.
    ///
    /// # Errors
    /// Returns an error if `y` is not finite.
    pub fn crps(&self, y: f64) -> Result<f64, MetricError> {
        match &self.by {
            By::Normals { means, sigma, weights } => {
                Ok(mixture_crps(&Mixture::new(means, sigma, weights.as_deref())?, y))
            }
            By::Draws(sample) => sample.fair_crps(y),
        }
    }

    /// The quantile at `level`, in (0, 1).
    ///
    /// # Errors
    /// Returns an error for a level outside (0, 1).
    pub fn quantile(&self, level: f64) -> Result<f64, MetricError> {
        match &self.by {
            By::Normals { means, sigma, weights } => {
                Mixture::new(means, sigma, weights.as_deref())?.quantile(level)
            }
            By::Draws(sample) => sample.quantile(level),
        }
    }

    /// `P(Y <= y)`. For counts it is a uniformly drawn position inside the step of the distribution
    /// function, so that the value is uniform if the prediction is right.
    ///
    /// # Errors
    /// Returns the errors of the mixture.
    pub fn probability(&self, y: f64) -> Result<f64, MetricError> {
        match &self.by {
            By::Normals { means, sigma, weights } => {
                Ok(Mixture::new(means, sigma, weights.as_deref())?.cdf(y))
            }
            By::Draws(sample) => {
                let values = sample.values();
                let below = values.partition_point(|&x| x < y);
                let up_to = values.partition_point(|&x| x <= y);
                let step = self.inside * (up_to - below) as f64;
                Ok((below as f64 + step) / values.len() as f64)
            }
        }
    }

    /// The draws from which quantiles are computed, in ascending order; `None` for normal mixtures.
    #[must_use]
    pub fn draws(&self) -> Option<&[f64]> {
        match &self.by {
            By::Normals { .. } => None,
            By::Draws(sample) => Some(sample.values()),
        }
    }
}

impl Outlier {
    /// `ln((1 - share) e^l + share p(y))` with the density `p` of outliers.
    #[must_use]
    pub fn mixed(&self, l: f64, y: f64) -> f64 {
        let [mean, deviation] = self.parameters;
        let other = self.share.ln() + normal::ln_pdf((y - mean) / deviation) - deviation.ln();
        let own = l + (-self.share).ln_1p();
        let largest = own.max(other);
        largest + ((own - largest).exp() + (other - largest).exp()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_cost_a_few_nats_and_move_little_else() {
        let parts = vec![Observation::Gaussian([1.0, 0.05]); 4];
        let outlier = Outlier { share: 1.0 / 702.0, parameters: [0.0, 1.0] };
        let without = Predictive::new(parts.clone(), None, 0.into(), 0).unwrap();
        let with = Predictive::new(parts, Some(outlier), 0.into(), 0).unwrap();
        // Twelve deviations away: 72 nats and more, or ln 702 and the density of all targets.
        assert!(without.ln_density(1.6) < -69.0);
        let expected = -(702_f64.ln()) + normal::ln_pdf(1.6);
        assert!((with.ln_density(1.6) - expected).abs() < 1e-12, "{}", with.ln_density(1.6));
        assert!((with.ln_density(1.0) - without.ln_density(1.0)).abs() < 1.5e-3);
        for level in [0.05, 0.5, 0.95] {
            let [a, b] = [&with, &without].map(|own| own.quantile(level).unwrap());
            assert!((a - b).abs() < 0.001, "{level}: {a} {b}");
        }
        assert_eq!(with.mean(), without.mean());
        let mass: f64 =
            (-8000..8000).map(|i| 1e-3 * with.ln_density(f64::from(i) * 1e-3).exp()).sum();
        assert!((mass - 1.0).abs() < 1e-9, "{mass}");
    }

    /// For a right prediction `P(Y <= y)` is uniform. This holds for counts, too, even if most of
    /// them are 0.
    #[test]
    fn right_predictions_of_counts_are_uniform() {
        const ROWS: u64 = 4000;
        for rate in [0.1_f64, 2.0] {
            let part = Observation::Poisson(rate.ln());
            let mut uniform = [0.0_f64; ROWS as usize];
            NoiseSeed::from(5).key(TARGET_DRAWS, 0).fill_uniform(0, &mut uniform);
            let place = |row: u64| {
                let y = part.draw(uniform[row as usize], [0.0; 2]);
                let own = Predictive::new(vec![part; 8], None, 0.into(), row).unwrap();
                own.probability(y).unwrap()
            };
            let places: Vec<f64> = (0..ROWS).map(place).collect();
            for level in [0.1, 0.5, 0.8, 0.95] {
                let share = places.iter().filter(|p| **p <= level).count() as f64 / ROWS as f64;
                // Five standard errors of the rows and of the 128 draws of each.
                let error = (level * (1.0 - level) * (1.0 / ROWS as f64)).sqrt();
                assert!((share - level).abs() < 5.0 * error + 0.01, "{rate} {level}: {share}");
            }
        }
    }

    /// The selection score prefers the right rate of rare counts.
    #[test]
    fn the_score_of_counts_is_proper() {
        // The numbers of rows with 0, 1, 2, 3, 4, out of 1000 rows with the rate 0.5.
        let counts = [607.0, 303.0, 76.0, 12.0, 2.0];
        let score = |rate: f64| -> f64 {
            let part = vec![Observation::Poisson(rate.ln()); 32];
            let mut sum = 0.0;
            for address in 0..64 {
                let own = Predictive::new(part.clone(), None, 0.into(), address).unwrap();
                for (y, count) in counts.iter().enumerate() {
                    sum += count * own.crps(y as f64).unwrap();
                }
            }
            sum
        };
        let right = score(0.5);
        for other in [0.3, 0.4, 0.65, 0.8] {
            assert!(right < score(other), "{other}");
        }
    }
}
