//! The continuous ranked probability score (CRPS),
//! `CRPS(F, y) = integral of (F(x) - 1{x >= y})^2 dx`, in the unit of the target.
//!
//! `CRPS = E|Y - y| - E|Y - Y'|/2` for independent `Y, Y'` with distribution `F` (Gneiting and
//! Raftery 2007). For a mixture of Gaussians both expectations are means of folded normals (Grimit
//! and others 2006): with
//! `A(m, v) = 2 sqrt(v) pdf(m / sqrt v) + m (2 cdf(m / sqrt v) - 1) = sqrt(v) g(m / sqrt v)`,
//!
//! ```text
//! CRPS = sum_s w_s A(y - m_s, v_s) - 1/2 sum_s sum_r w_s w_r A(m_s - m_r, v_s + v_r).
//! ```
//!
//! The double sum is symmetric, so each pair is visited once. `g` is tabulated (file `folded`).

use crate::metrics::error::MetricError;
use crate::metrics::floor::squared_mass_below;
use crate::metrics::folded::table;
use crate::metrics::mixture::Mixture;
use crate::metrics::window::WindowPrediction;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// `1 / sqrt(pi)`: half the mean distance of two independent standard normals.
const INVERSE_SQRT_PI: f64 = 0.564_189_583_547_756_3;

/// The exact CRPS of a mixture at `y`, in the unit of `y`; O(S^2) for `S` components.
///
/// ```
/// use vdn_train::metrics::{Mixture, gaussian_crps, mixture_crps};
/// let one = Mixture::new(&[0.3], &[0.8], None)?;
/// assert!((mixture_crps(&one, 1.0) - gaussian_crps(0.3, 0.8, 1.0)).abs() < 1e-15);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[must_use]
pub fn mixture_crps(mixture: &Mixture<'_>, y: f64) -> f64 {
    mixture_crps_with(mixture, y, &mut Vec::new())
}

/// The exact CRPS of `target [H]` under `prediction`, as the mean over the steps in the unit of the
/// target.
///
/// ```
/// use vdn_train::metrics::{WindowPrediction, gaussian_crps, window_crps};
/// let prediction = WindowPrediction::gaussian(&[0.0, 1.0], &[1.0, 0.5])?;
/// let both = 0.5 * (gaussian_crps(0.0, 1.0, 0.3) + gaussian_crps(1.0, 0.5, 0.3));
/// assert!((window_crps(&prediction, &[0.3, 0.3])? - both).abs() < 1e-15);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error when an input is not finite or outside its domain, or a score overflows.
pub fn window_crps(prediction: &WindowPrediction<'_>, target: &[f64]) -> Result<f64, MetricError> {
    prediction.check("crps", target)?;
    let mut scratch = Vec::with_capacity(prediction.samples());
    let (mut sum, mut overflow) = (0.0, None);
    prediction.for_each_step(|h, mixture| {
        let value = mixture_crps_with(&mixture, target[h], &mut scratch);
        if !value.is_finite() {
            overflow.get_or_insert((h, value));
        }
        sum += value;
    });
    match overflow {
        Some((h, value)) => {
            Err(MetricError::Score { metric: "crps", window: 0, step: Some(h), value })
        }
        None => Ok(sum / target.len() as f64),
    }
}

/// Like [`mixture_crps`], with a buffer that is reused between targets.
pub(crate) fn mixture_crps_with(mixture: &Mixture<'_>, y: f64, scaled: &mut Vec<f64>) -> f64 {
    if let Some(floor) = mixture.floor() {
        let free = mixture.without_floor();
        let above = mixture_crps_with(&free, y.max(floor), scaled);
        return above - squared_mass_below(&free, floor) + (floor - y).max(0.0);
    }
    let table = table();
    let means = mixture.means();
    let samples = mixture.samples();
    if let Some(sigma) = mixture.shared_sigma() {
        let to_target = mixture.average(|s| table.mean((y - means[s]) / sigma));
        // All pairs share the deviation `sigma sqrt 2`: one division per component instead of one
        // per pair.
        let inverse = FRAC_1_SQRT_2 / sigma;
        scaled.clear();
        scaled.extend(means.iter().map(|m| m * inverse));
        let pairs = mixture.average(|s| {
            let own = scaled[s];
            let others = &scaled[s + 1..];
            let diagonal = 2.0 * INVERSE_SQRT_PI * FRAC_1_SQRT_2 * mixture.weight(s);
            if mixture.is_uniform() {
                let sum: f64 = others.iter().map(|other| table.mean(own - other)).sum();
                diagonal + 2.0 * sum / samples as f64
            } else {
                let sum: f64 =
                    (s + 1..samples).map(|r| mixture.weight(r) * table.mean(own - scaled[r])).sum();
                diagonal + 2.0 * sum
            }
        });
        sigma * (to_target - 0.5 * SQRT_2 * pairs)
    } else {
        let to_target =
            mixture.average(|s| mixture.sigma(s) * table.mean((y - means[s]) / mixture.sigma(s)));
        let pairs = mixture.average(|s| {
            let own = mixture.sigma(s);
            let sum: f64 = (s + 1..samples)
                .map(|r| {
                    let deviation = own.hypot(mixture.sigma(r));
                    mixture.weight(r) * deviation * table.mean((means[s] - means[r]) / deviation)
                })
                .sum();
            2.0 * INVERSE_SQRT_PI * own * mixture.weight(s) + 2.0 * sum
        });
        to_target - 0.5 * pairs
    }
}

/// The CRPS of `Normal(mean, sigma^2)` at `y`, `sigma [z (2 cdf(z) - 1) + 2 pdf(z) - 1/sqrt(pi)]`
/// with `z = (y - mean) / sigma`, domain `sigma > 0` (Gneiting and others 2005).
#[must_use]
pub fn gaussian_crps(mean: f64, sigma: f64, y: f64) -> f64 {
    sigma * (table().mean((y - mean) / sigma) - INVERSE_SQRT_PI)
}

/// The unbiased ("fair") CRPS of the `M >= 2` draws of `sample` at `y`, in O(M log M).
///
/// It is the mean distance to `y` minus `1/(2 M (M-1))` times the sum of all pairwise distances.
/// Its expectation does not depend on `M`.
///
/// # Errors
/// Returns an error when there are fewer than two draws, or a draw or `y` is not finite.
///
/// ```
/// use vdn_train::metrics::sample_crps;
/// // Distances to 2: 2, 1, 1; pairs: 1, 3, 2, so 4/3 - (2 * 6) / (2 * 3 * 2) = 1/3.
/// assert!((sample_crps(&[0.0, 3.0, 1.0], 2.0)? - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
pub fn sample_crps(sample: &[f64], y: f64) -> Result<f64, MetricError> {
    if !y.is_finite() {
        return Err(not_finite("target", 0, y));
    }
    SortedSample::new(sample.to_vec())?.fair_crps(y)
}

fn not_finite(quantity: &'static str, sample: usize, value: f64) -> MetricError {
    let expected = "a finite number";
    MetricError::Input {
        metric: "sample CRPS",
        window: 0,
        step: 0,
        sample,
        quantity,
        value,
        expected,
    }
}

/// Sorted draws with their running sums: quantiles in O(1), CRPS in O(log M).
#[derive(Clone, Debug, PartialEq)]
pub struct SortedSample {
    values: Vec<f64>,
    /// `prefix[i]` is the sum of the `i` smallest values.
    prefix: Vec<f64>,
    /// The sum of the distances of all unordered pairs.
    pair_distance: f64,
}

impl SortedSample {
    /// Sorts `values [M]`.
    ///
    /// # Errors
    /// Returns an error when there are none, or one is not finite.
    pub fn new(mut values: Vec<f64>) -> Result<Self, MetricError> {
        if values.is_empty() {
            return Err(MetricError::shape(
                "sorted sample",
                "sample [0]: expected at least one value",
            ));
        }
        if let Some(s) = values.iter().position(|v| !v.is_finite()) {
            return Err(not_finite("draw", s, values[s]));
        }
        values.sort_unstable_by(f64::total_cmp);
        Ok(Self::of_sorted(values))
    }

    /// Takes at least one value, finite and in ascending order.
    fn of_sorted(values: Vec<f64>) -> Self {
        // Sums relative to the middle value; a common offset of the draws would cause cancellation.
        let middle = values[values.len() / 2];
        let mut prefix = Vec::with_capacity(values.len() + 1);
        prefix.push(0.0);
        let (mut sum, mut pair_distance) = (0.0, 0.0);
        let last = values.len() as f64 - 1.0;
        for (i, value) in values.iter().enumerate() {
            sum += value - middle;
            prefix.push(sum);
            // The i-th smallest value is the larger one of i pairs and the smaller one of M - 1 - i
            // pairs.
            pair_distance += (value - middle) * (2.0 * i as f64 - last);
        }
        Self { values, prefix, pair_distance }
    }

    /// The same draws, with draws below `floor` raised to it.
    ///
    /// ```
    /// use vdn_train::metrics::SortedSample;
    /// let sample = SortedSample::new(vec![-2.0, 1.0, -1.0])?.raised_to(0.0);
    /// assert_eq!(sample.values(), [0.0, 0.0, 1.0]);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    #[must_use]
    pub fn raised_to(&self, floor: f64) -> Self {
        if self.values[0] >= floor {
            return self.clone();
        }
        Self::of_sorted(self.values.iter().map(|value| value.max(floor)).collect())
    }

    /// The values in ascending order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The mean distance from the draws to `y`.
    fn distance(&self, y: f64) -> f64 {
        let count = self.values.len();
        let below = self.values.partition_point(|v| *v <= y);
        let offset = y - self.values[count / 2];
        let lower = below as f64 * offset - self.prefix[below];
        let upper = (self.prefix[count] - self.prefix[below]) - (count - below) as f64 * offset;
        (lower + upper) / count as f64
    }

    /// The CRPS at `y` of the empirical distribution, in which each draw has the mass `1/M`.
    #[must_use]
    pub fn empirical_crps(&self, y: f64) -> f64 {
        let count = self.values.len() as f64;
        self.distance(y) - self.pair_distance / (count * count)
    }

    /// The unbiased CRPS; see [`sample_crps`].
    ///
    /// # Errors
    /// Returns an error when there are fewer than two draws.
    pub fn fair_crps(&self, y: f64) -> Result<f64, MetricError> {
        let count = self.values.len() as f64;
        if self.values.len() < 2 {
            return Err(MetricError::shape(
                "sample CRPS",
                "sample [1]: expected at least two draws",
            ));
        }
        Ok(self.distance(y) - self.pair_distance / (count * (count - 1.0)))
    }

    /// The sample quantile at `tau` in `[0, 1]`, interpolated linearly between order statistics
    /// (Hyndman and Fan's type 7, the default of NumPy and R).
    ///
    /// # Errors
    /// Returns an error when `tau` is outside `[0, 1]`.
    pub fn quantile(&self, tau: f64) -> Result<f64, MetricError> {
        if !(0.0..=1.0).contains(&tau) {
            let (operation, expected) = ("sample quantile", "a number in [0, 1]");
            return Err(MetricError::Setting { operation, name: "tau", value: tau, expected });
        }
        let place = tau * (self.values.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(self.values.len() - 1);
        Ok(self.values[below] + (place - below as f64) * (self.values[above] - self.values[below]))
    }
}
