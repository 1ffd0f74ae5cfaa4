//! The expected calibration error of confidences.
//!
//! Rows are assigned to bins by the probability of their most probable class. In each bin the mean
//! of these probabilities is compared with the share of correct rows:
//! `sum_b n_b / n |right_b - confidence_b|` (Naeini, Cooper and Hauskrecht 2015). The error depends
//! on the bins, so they are always stated.

use vdn_train::metrics::MetricError;

/// The number of bins.
pub const BINS: usize = 15;

/// The method of assigning rows to bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bins {
    /// Bins of equal width over [0, 1].
    EqualWidth,
    /// Bins with equal numbers of rows, in the order of the confidence.
    EqualMass,
}

/// The expected calibration error of `confidence`, in [0, 1]. `wrong` is 1 for a wrong row and 0
/// for a correct one.
///
/// ```
/// use vdn_tasks::evaluate::{Bins, calibration_error};
/// // Of two rows of 80 % one is right; two of 99 % are right.
/// let (confidence, wrong) = ([0.8, 0.8, 0.99, 0.99], [0.0, 1.0, 0.0, 0.0]);
/// let error = calibration_error(&confidence, &wrong, Bins::EqualWidth)?;
/// assert!((error - (0.5 * 0.3 + 0.5 * 0.01)).abs() < 1e-15);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error if the lengths differ or are 0, or if a number is not finite.
pub fn calibration_error(
    confidence: &[f64],
    wrong: &[f64],
    bins: Bins,
) -> Result<f64, MetricError> {
    const METRIC: &str = "calibration error";
    let n = confidence.len();
    if n == 0 || wrong.len() != n {
        return Err(MetricError::Shape {
            operation: METRIC,
            detail: format!("confidence [{n}], wrong [{}]", wrong.len()),
        });
    }
    let finite = |(window, value): (usize, &f64)| match value.is_finite() {
        true => Ok(()),
        false => Err(MetricError::Score { metric: METRIC, window, step: None, value: *value }),
    };
    confidence.iter().enumerate().try_for_each(finite)?;
    wrong.iter().enumerate().try_for_each(finite)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| confidence[a].total_cmp(&confidence[b]));
    let bin = |place: usize| match bins {
        Bins::EqualWidth => ((confidence[order[place]] * BINS as f64) as usize).min(BINS - 1),
        Bins::EqualMass => place * BINS / n,
    };
    let mut gaps = [0.0; BINS];
    let mut first = 0;
    while first < n {
        let own = confidence[order[first]];
        let rest = &order[first..];
        let count = rest.iter().take_while(|&&row| confidence[row] == own).count();
        // Rows of equal confidence have no order, so each counts as wrong to the same degree.
        let errors: f64 = rest[..count].iter().map(|&row| wrong[row]).sum();
        let gap = 1.0 - errors / count as f64 - own;
        (first..first + count).for_each(|place| gaps[bin(place)] += gap);
        first += count;
    }
    Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_of_equal_mass_part_what_equal_width_joins() {
        // All confidences are near 1. In the single bin of equal width the errors cancel. In bins
        // of equal mass one half is underconfident, the other overconfident.
        let confidence: Vec<f64> = (0..300).map(|i| if i < 150 { 0.94 } else { 0.98 }).collect();
        let wrong: Vec<f64> =
            (0..300).map(|i| f64::from(u8::from(i < 150 && i % 25 < 2))).collect();
        // Correct 92 % and 100 %.
        let width = calibration_error(&confidence, &wrong, Bins::EqualWidth).unwrap();
        let mass = calibration_error(&confidence, &wrong, Bins::EqualMass).unwrap();
        assert!(width < 1e-12, "{width}");
        // A gap of 0.02 at both confidences. The eighth bin has ten rows of each.
        let expected = 0.02 * 280.0 / 300.0;
        assert!((mass - expected).abs() < 1e-12, "{mass}");
        // The order of rows with equal confidence does not matter.
        let sorted: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i < 12))).collect();
        let again = calibration_error(&confidence, &sorted, Bins::EqualMass).unwrap();
        assert!((again - mass).abs() < 1e-12, "{again} {mass}");
        assert!(calibration_error(&[], &[], Bins::EqualMass).is_err());
        assert!(calibration_error(&[f64::NAN], &[0.0], Bins::EqualMass).is_err());
    }
}
