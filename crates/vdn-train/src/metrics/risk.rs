//! Risk against coverage: the mean loss of the remaining forecasts when the most uncertain ones are
//! withheld.
//!
//! If the predicted uncertainty is informative, the curve rises with the coverage (Geifman and
//! El-Yaniv 2017). If it is noise, the curve is flat at the mean loss.

use crate::metrics::error::MetricError;

/// One point of the risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskPoint {
    /// The share of forecasts that are kept, in (0, 1].
    pub coverage: f64,
    /// The mean loss of the kept forecasts, in the unit of the loss.
    pub risk: f64,
    /// The largest uncertainty of the kept forecasts.
    pub threshold: f64,
}

/// The risk-coverage curve and the area under it.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskCoverage {
    /// One point per distinct uncertainty, in ascending order of coverage. The last point keeps all
    /// forecasts.
    pub points: Vec<RiskPoint>,
    /// The mean over `k = 1..n` of the risk of the `k` least uncertain forecasts. Equal
    /// uncertainties count by their expectation over random orders, so the order of the input does
    /// not matter.
    pub area: f64,
}

impl RiskCoverage {
    /// The mean loss of the least uncertain forecasts with the share `coverage`.
    ///
    /// Between points the summed loss is interpolated linearly, which is the expectation over
    /// random orders of forecasts with equal uncertainty. At 0 and below it is the risk of the
    /// first point, at 1 and above the risk of the last.
    ///
    /// ```
    /// use vdn_train::metrics::risk::risk_coverage;
    /// let curve = risk_coverage(&[0.1, 0.2, 0.2, 0.3], &[0.0, 1.0, 2.0, 5.0])?;
    /// // The first, and one of the two that are equally uncertain.
    /// assert_eq!(curve.risk_at(0.5), (0.0 + 1.5) / 2.0);
    /// assert_eq!(curve.risk_at(1.0), 2.0);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    #[must_use]
    pub fn risk_at(&self, coverage: f64) -> f64 {
        let summed = |point: &RiskPoint| point.coverage * point.risk;
        let Some(next) = self.points.iter().position(|point| point.coverage >= coverage) else {
            return self.points.last().map_or(f64::NAN, |last| last.risk);
        };
        let to = &self.points[next];
        // Inside the first group of equal uncertainty, the expectation equals the group's risk.
        let Some(from) = next.checked_sub(1).map(|i| &self.points[i]) else { return to.risk };
        let slope = (summed(to) - summed(from)) / (to.coverage - from.coverage);
        (summed(from) + (coverage - from.coverage) * slope) / coverage
    }
}

/// The risk-coverage curve of `loss [n]` by ascending `uncertainty [n]`.
///
/// # Errors
/// Returns an error when the lengths differ or are 0, or a number is not finite.
///
/// ```
/// use vdn_train::metrics::risk::risk_coverage;
/// let curve = risk_coverage(&[0.1, 0.9, 0.5], &[1.0, 6.0, 2.0])?;
/// assert_eq!(curve.points.iter().map(|p| p.risk).collect::<Vec<_>>(), [1.0, 1.5, 3.0]);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
pub fn risk_coverage(uncertainty: &[f64], loss: &[f64]) -> Result<RiskCoverage, MetricError> {
    const METRIC: &str = "risk-coverage";
    let count = loss.len();
    if count == 0 || uncertainty.len() != count {
        let detail = format!("uncertainty [{}], loss [{count}]", uncertainty.len());
        return Err(MetricError::shape(METRIC, detail));
    }
    for (window, (u, l)) in uncertainty.iter().zip(loss).enumerate() {
        let value = if u.is_finite() { *l } else { *u };
        if !value.is_finite() {
            return Err(MetricError::Score { metric: METRIC, window, step: None, value });
        }
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| uncertainty[a].total_cmp(&uncertainty[b]));
    let (mut points, mut area) = (Vec::new(), 0.0);
    let (mut kept, mut total) = (0usize, 0.0);
    for group in order.chunk_by(|&a, &b| uncertainty[a] == uncertainty[b]) {
        let group_loss: f64 = group.iter().map(|&i| loss[i]).sum();
        let mean = group_loss / group.len() as f64;
        for k in 1..=group.len() {
            area += (total + k as f64 * mean) / (kept + k) as f64;
        }
        kept += group.len();
        total += group_loss;
        points.push(RiskPoint {
            coverage: kept as f64 / count as f64,
            risk: total / kept as f64,
            threshold: uncertainty[group[0]],
        });
    }
    Ok(RiskCoverage { points, area: area / count as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_do_not_depend_on_the_order() {
        let first = risk_coverage(&[1.0, 1.0, 2.0], &[0.0, 4.0, 5.0]).unwrap();
        let second = risk_coverage(&[2.0, 1.0, 1.0], &[5.0, 4.0, 0.0]).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.points.len(), 2);
        assert_eq!((first.points[0].coverage, first.points[0].risk), (2.0 / 3.0, 2.0));
        assert!((first.area - (2.0 + 2.0 + 3.0) / 3.0).abs() < 1e-15);
        assert!(risk_coverage(&[1.0], &[f64::NAN]).is_err());
        assert!(risk_coverage(&[f64::INFINITY], &[1.0]).is_err());
        assert!(risk_coverage(&[], &[]).is_err());
        assert!(risk_coverage(&[1.0], &[1.0, 2.0]).is_err());
    }
}
