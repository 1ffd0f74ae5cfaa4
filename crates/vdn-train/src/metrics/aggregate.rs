//! Weighted sums of a forecast's steps: the mean over the horizon, the total of a day, any `w'y`.
//!
//! Given a sample `s`, the steps are independent normals, so `w'y` is normal with mean `w'm_s` and
//! variance `sum_h w_h^2 sigma_{s,h}^2`. Over the samples it is again a mixture of normals:
//!
//! ```text
//! w'y ~ sum_s p_s Normal(w'm_s, sum_h w_h^2 sigma_{s,h}^2)
//! ```
//!
//! No path is drawn: the CRPS, the quantiles and the coverage of `w'y` come from a [`Mixture`].
//! Each sample may have its own deviations. This includes a scale that all steps of a sample share,
//! as in a multivariate Student's t.
//!
//! The variance of `w'y` has two parts. [`VarianceParts::units`] is the variance of `w'm_s` over
//! the samples: the uncertainty that the units attribute to all steps together.
//! [`VarianceParts::noise`] is the mean of the conditional variances: output noise that is
//! independent from step to step.
//!
//! A prediction may specify the noise that its steps share
//! ([`SharedPart`](crate::metrics::SharedPart)). Its aggregate has two components with the same
//! mean: one for dependent steps, and one for independent steps with their probability.

use crate::metrics::coverage::central_interval;
use crate::metrics::crps::{SortedSample, mixture_crps_with};
use crate::metrics::error::MetricError;
use crate::metrics::mixture::Mixture;
use crate::metrics::window::WindowPrediction;

/// The name of the score in errors.
const METRIC: &str = "crps of an aggregate";

/// The nominal coverages at which whole forecasts are scored.
pub const WHOLE_LEVELS: [f64; 2] = [0.5, 0.9];

/// The distribution of `w'y` for one window.
///
/// ```
/// use vdn_train::metrics::{Aggregate, WindowPrediction};
/// // Two samples of two steps, deviation 1 at each step; the mean over the steps.
/// let prediction = WindowPrediction::new(&[0.0, 0.0, 2.0, 4.0], &[1.0, 1.0], None, 2)?;
/// let mean = Aggregate::new(&prediction, &[0.5, 0.5])?;
/// assert_eq!(mean.mixture().means(), [0.0, 3.0]);
/// assert_eq!(mean.mixture().variance(), 0.5 + 2.25);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    means: Vec<f64>,
    sigma: Vec<f64>,
    weights: Option<Vec<f64>>,
    /// The parts of the variance of a prediction that specifies the noise that its steps share.
    parts: Option<VarianceParts>,
}

/// The scores of the forecast of one window's aggregate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AggregateScore {
    /// Exact CRPS, in the unit of the aggregate.
    pub crps: f64,
    /// The forecast probability of smaller values.
    pub pit: f64,
    /// Whether the value is inside the central interval (1 or 0), for each of [`WHOLE_LEVELS`].
    pub covered: [f64; 2],
}

impl AggregateScore {
    /// Scores `y` by an equally weighted sample of the aggregate: the unbiased CRPS, the share of
    /// smaller draws (draws equal to `y` count half), and the intervals between sample quantiles.
    ///
    /// ```
    /// use vdn_train::metrics::{AggregateScore, SortedSample};
    /// let sample = SortedSample::new(vec![0.0, 1.0, 2.0, 3.0])?;
    /// let score = AggregateScore::of_sample(&sample, 2.9)?;
    /// assert_eq!((score.pit, score.covered), (0.75, [0.0, 0.0]));
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error when there are fewer than two draws, or `y` is not finite.
    pub fn of_sample(sample: &SortedSample, y: f64) -> Result<Self, MetricError> {
        let crps = sample.fair_crps(y)?;
        if !(y.is_finite() && crps.is_finite()) {
            return Err(MetricError::Score { metric: METRIC, window: 0, step: None, value: crps });
        }
        let values = sample.values();
        let [below, up_to] =
            [values.partition_point(|v| *v < y), values.partition_point(|v| *v <= y)];
        let mut inside = [0.0; 2];
        for (inside, level) in inside.iter_mut().zip(WHOLE_LEVELS) {
            let [low, high] = central_interval(level);
            let ends = [sample.quantile(low)?, sample.quantile(high)?];
            *inside = f64::from(u8::from(ends[0] <= y && y <= ends[1]));
        }
        let pit = (below + up_to) as f64 / (2 * values.len()) as f64;
        Ok(Self { crps, pit, covered: inside })
    }
}

impl Aggregate {
    /// The distribution of the sum of `weights[h] * y[h]` over the steps; `weights` is `[H]`.
    ///
    /// # Errors
    /// Returns an error when:
    ///
    /// * the weights are not `[H]`, not finite or all 0
    /// * a mean of the result is not finite
    /// * a deviation is not finite and above 0
    /// * the prediction has a limit
    pub fn new(prediction: &WindowPrediction<'_>, weights: &[f64]) -> Result<Self, MetricError> {
        let (samples, horizon) = (prediction.samples(), prediction.horizon());
        check_step_weights(weights, horizon)?;
        if let Some(floor) = prediction.floor() {
            let (operation, expected) = ("aggregate", "none: sums of limited steps need paths");
            return Err(MetricError::Setting { operation, name: "floor", value: floor, expected });
        }
        // If all samples have the same deviations, one number is enough.
        let shared = samples == 1 || prediction.shares_sigma();
        let deviation = |s: usize| -> f64 {
            let terms = weights.iter().enumerate().map(|(h, w)| w * prediction.sigma(s, h));
            terms.map(|x| x * x).sum::<f64>().sqrt()
        };
        let mut sigma: Vec<f64> = (0..if shared { 1 } else { samples }).map(deviation).collect();
        let mean = |s: usize| -> f64 {
            weights.iter().enumerate().map(|(h, w)| w * prediction.mean(s, h)).sum()
        };
        let mut means: Vec<f64> = (0..samples).map(mean).collect();
        let mut own = prediction.is_weighted().then(|| prediction.normalised_weights());
        let mut parts = None;
        if let Some([units, noise]) = prediction.shared_variances(weights) {
            let apart = prediction.apart();
            let independent = std::mem::replace(&mut sigma, vec![(units + noise).sqrt()]);
            let rest = apart * independent[0].powi(2);
            let together = 1.0 - apart;
            parts = Some(VarianceParts { units: together * units, noise: together * noise + rest });
            if apart > 0.0 {
                means.push(means[0]);
                sigma.push(independent[0]);
                own = Some(vec![together, apart]);
            }
        }
        Mixture::new(&means, &sigma, own.as_deref())?;
        Ok(Self { means, sigma, weights: own, parts })
    }

    /// The mixture of normals of the aggregate.
    #[must_use]
    pub fn mixture(&self) -> Mixture<'_> {
        Mixture::trusted(&self.means, &self.sigma, self.weights.as_deref())
    }

    /// Scores the observed value `y`.
    ///
    /// # Errors
    /// Returns an error when `y` is not finite, or the CRPS overflows.
    pub fn score(&self, y: f64) -> Result<AggregateScore, MetricError> {
        let mixture = self.mixture();
        let crps = mixture_crps_with(&mixture, y, &mut Vec::new());
        if !(y.is_finite() && crps.is_finite()) {
            return Err(MetricError::Score { metric: METRIC, window: 0, step: None, value: crps });
        }
        let pit = mixture.cdf(y);
        Ok(AggregateScore { crps, pit, covered: covered(pit) })
    }

    /// The two parts of the variance.
    #[must_use]
    pub fn variance_parts(&self) -> VarianceParts {
        self.parts.unwrap_or_else(|| VarianceParts::of(&self.mixture()))
    }
}

/// Whether a PIT value is inside the central intervals, for each of [`WHOLE_LEVELS`].
fn covered(pit: f64) -> [f64; 2] {
    WHOLE_LEVELS.map(|level| {
        let [low, high] = central_interval(level);
        f64::from(u8::from(low <= pit && pit <= high))
    })
}

/// Refuses weights of steps that do not define an aggregate.
fn check_step_weights(weights: &[f64], horizon: usize) -> Result<(), MetricError> {
    let operation = "aggregate";
    if weights.len() != horizon {
        let detail = format!("weights [{}], prediction of {horizon} steps", weights.len());
        return Err(MetricError::shape(operation, detail));
    }
    let (name, expected) = ("weight", "finite weights, not all of them 0");
    match weights.iter().find(|w| !w.is_finite()) {
        Some(&value) => Err(MetricError::Setting { operation, name, value, expected }),
        None if weights.iter().all(|w| *w == 0.0) => {
            Err(MetricError::Setting { operation, name, value: 0.0, expected })
        }
        None => Ok(()),
    }
}

/// The two parts of a predictive variance, in the squared unit of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VarianceParts {
    /// The unbiased estimate of the variance of the samples' means.
    ///
    /// It is 0 for one sample, unless the prediction specifies the noise that its steps share
    /// ([`WindowPrediction::with_shared_noise`](crate::metrics::WindowPrediction::with_shared_noise)).
    /// Then it is the variance of the shared noise, times the probability that the steps share it.
    pub units: f64,
    /// The mean of the samples' conditional variances.
    pub noise: f64,
}

impl VarianceParts {
    /// The parts of one mixture of normals, without its limit:
    /// `sum_s p_s (m_s - m)^2 / (1 - sum_s p_s^2)` and `sum_s p_s sigma_s^2`.
    #[must_use]
    pub fn of(mixture: &Mixture<'_>) -> Self {
        let mixture = &mixture.without_floor();
        let noise = mixture.average(|s| mixture.sigma(s).powi(2));
        let mean = mixture.mean();
        let spread = mixture.average(|s| (mixture.means()[s] - mean).powi(2));
        let repeated = mixture.average(|s| mixture.weight(s));
        let units = if repeated < 1.0 { spread / (1.0 - repeated) } else { 0.0 };
        Self { units, noise }
    }

    /// The parts of each step's variance, averaged over the steps of a window.
    ///
    /// ```
    /// use vdn_train::metrics::{VarianceParts, WindowPrediction};
    /// let prediction = WindowPrediction::new(&[-1.0, 1.0], &[1.0], None, 1)?;
    /// let parts = VarianceParts::of_steps(&prediction);
    /// // Two draws at -1 and 1 have an unbiased variance of 2.
    /// assert_eq!((parts.units, parts.noise), (2.0, 1.0));
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    #[must_use]
    pub fn of_steps(prediction: &WindowPrediction<'_>) -> Self {
        let mut sum = Self::default();
        let steps = prediction.horizon() as f64;
        prediction.for_each_step(|step, mixture| {
            let parts = match prediction.shared_variances_of(step) {
                Some([units, noise]) => {
                    let shared = (1.0 - prediction.apart()) * units;
                    Self { units: shared, noise: units + noise - shared }
                }
                None => Self::of(&mixture),
            };
            sum.units += parts.units;
            sum.noise += parts.noise;
        });
        Self { units: sum.units / steps, noise: sum.noise / steps }
    }
}
