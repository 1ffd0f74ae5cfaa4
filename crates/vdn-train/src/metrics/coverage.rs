//! Calibration: the coverage of intervals, and the uniformity of the probability integral transform
//! (PIT).

use crate::metrics::error::MetricError;

/// The two quantile levels of the central interval with nominal coverage `level`: `(1 - level)/2`
/// and `(1 + level)/2`.
#[must_use]
pub fn central_interval(level: f64) -> [f64; 2] {
    [0.5 - 0.5 * level, 0.5 + 0.5 * level]
}

/// The share of the targets `y [n]` inside `[lower, upper]` (ends included), and the mean width of
/// the intervals in the unit of `y`.
///
/// # Errors
/// Returns an error when the lengths differ or are 0, a number is NaN, or a lower end is above its
/// upper end.
pub fn interval_coverage(lower: &[f64], upper: &[f64], y: &[f64]) -> Result<[f64; 2], MetricError> {
    const METRIC: &str = "interval coverage";
    if y.is_empty() || lower.len() != y.len() || upper.len() != y.len() {
        let detail = format!("lower [{}], upper [{}], y [{}]", lower.len(), upper.len(), y.len());
        return Err(MetricError::shape(METRIC, detail));
    }
    let (mut inside, mut width) = (0usize, 0.0);
    for (step, ((low, high), y)) in lower.iter().zip(upper).zip(y).enumerate() {
        let span = high - low;
        if y.is_nan() || span.is_nan() || span < 0.0 {
            let value = if y.is_nan() { *y } else { span };
            return Err(MetricError::Score { metric: METRIC, window: 0, step: Some(step), value });
        }
        inside += usize::from(low <= y && y <= high);
        width += span;
    }
    Ok([inside as f64 / y.len() as f64, width / y.len() as f64])
}

/// A histogram of PIT values `cdf(y)` in equal bins on `[0, 1]`. It is uniform if the forecasts are
/// calibrated, U-shaped if they are too narrow, humped if they are too wide, and sloped if they are
/// biased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PitHistogram {
    counts: Vec<u64>,
}

impl PitHistogram {
    /// An empty histogram of `bins` bins.
    ///
    /// # Errors
    /// Returns an error when `bins` is below 2.
    pub fn new(bins: usize) -> Result<Self, MetricError> {
        if bins < 2 {
            let (operation, expected) = ("PIT histogram", "at least 2");
            return Err(MetricError::Setting {
                operation,
                name: "bins",
                value: bins as f64,
                expected,
            });
        }
        Ok(Self { counts: vec![0; bins] })
    }

    /// Counts one PIT value; a value on an inner edge belongs to the bin above it.
    ///
    /// # Errors
    /// Returns an error when it is not in `[0, 1]`.
    pub fn push(&mut self, pit: f64) -> Result<(), MetricError> {
        if !(0.0..=1.0).contains(&pit) {
            let (operation, expected) = ("PIT histogram", "a number in [0, 1]");
            return Err(MetricError::Setting { operation, name: "PIT", value: pit, expected });
        }
        let bins = self.counts.len();
        self.counts[((pit * bins as f64) as usize).min(bins - 1)] += 1;
        Ok(())
    }

    /// The counts, one per bin.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of values that were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of each bin in the total, 1 / bins if calibrated; `None` if nothing was counted.
    #[must_use]
    pub fn frequencies(&self) -> Option<Vec<f64>> {
        let total = self.total();
        (total > 0).then(|| self.counts.iter().map(|c| *c as f64 / total as f64).collect())
    }

    /// The observed minus the nominal share of PIT values below each inner edge `k / bins`.
    fn deviations(&self) -> Option<impl Iterator<Item = f64>> {
        let bins = self.counts.len();
        let frequencies = self.frequencies()?;
        Some((1..bins).scan(0.0, move |below, k| {
            *below += frequencies[k - 1];
            Some(*below - k as f64 / bins as f64)
        }))
    }

    /// The mean of `|share of PIT values below p - p|` over the inner bin edges `p`; `None` if
    /// nothing was counted. It is 0 if calibrated, and at most 1/2 for many bins.
    #[must_use]
    pub fn calibration_error(&self) -> Option<f64> {
        let edges = self.counts.len() as f64 - 1.0;
        Some(self.deviations()?.map(f64::abs).sum::<f64>() / edges)
    }

    /// The root mean square of the deviations at the inner bin edges (Kuleshov and others 2018 sum
    /// the squares); `None` if nothing was counted.
    #[must_use]
    pub fn calibration_error_rms(&self) -> Option<f64> {
        let edges = self.counts.len() as f64 - 1.0;
        Some((self.deviations()?.map(|d| d * d).sum::<f64>() / edges).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_bins_edges_and_errors() {
        let mut histogram = PitHistogram::new(4).unwrap();
        assert_eq!((histogram.calibration_error(), histogram.frequencies()), (None, None));
        for pit in [0.0, 0.25, 0.3, 0.5, 1.0, 0.999] {
            histogram.push(pit).unwrap();
        }
        assert_eq!(histogram.counts(), [1, 2, 1, 2]);
        // Below the edges 1/4, 1/2, 3/4: 1/6, 3/6, 4/6.
        let error = histogram.calibration_error().unwrap();
        assert!((error - (1.0 / 12.0 + 1.0 / 12.0) / 3.0).abs() < 1e-15, "{error}");
        let rms = histogram.calibration_error_rms().unwrap();
        assert!((rms - (2.0f64 / 144.0 / 3.0).sqrt()).abs() < 1e-15, "{rms}");
        for bad in [-1e-9, 1.1, f64::NAN] {
            assert!(histogram.push(bad).is_err());
        }
        assert!(PitHistogram::new(1).is_err());
    }

    #[test]
    fn coverage_counts_closed_intervals() {
        let got = interval_coverage(&[0.0, 0.0, 0.0], &[1.0, 2.0, 3.0], &[1.0, 2.5, -0.5]).unwrap();
        assert_eq!(got, [1.0 / 3.0, 2.0]);
        assert!(interval_coverage(&[0.0], &[-1.0], &[0.0]).is_err());
        assert!(interval_coverage(&[0.0], &[1.0], &[f64::NAN]).is_err());
        assert!(interval_coverage(&[0.0], &[1.0, 2.0], &[0.0]).is_err());
        let [low, high] = central_interval(0.8);
        assert!((low - 0.1).abs() < 1e-15 && (high - 0.9).abs() < 1e-15);
    }
}
