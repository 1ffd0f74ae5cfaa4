//! [`UnitUse`]: the downstream use of each unit, measured by interventions, with standard errors.
//!
//! ```text
//! value      dLL_i = E ln p(y | z) - E ln p(y | z with z_i drawn from its prior)          nats per window
//! net value  dLL_i - KL_i
//! share      T_i   = E |m(z) - m(z with z_i redrawn from q_i)|^2 / (2 tr Var m)           total effect (Sobol 2001)
//! ```

use crate::core::mixture::mixture_quantile;
use crate::diagnostics::collapse::CollapseThresholds;

/// The measures of the probed units, each `[units probed]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitUse {
    /// The indices of the probed units.
    pub units: Vec<usize>,
    /// The number of windows behind every measure.
    pub windows: usize,
    /// The value `dLL_i` in nats per window.
    pub value: Vec<f64>,
    /// The standard error of the value; NaN if there are too few windows.
    pub value_error: Vec<f64>,
    /// The net value `dLL_i - KL_i` in nats per window.
    pub net: Vec<f64>,
    /// The total effect `T_i`; 0 if predictions do not vary at all.
    pub share: Vec<f64>,
    /// The standard error of the total effect; NaN if there are too few windows.
    pub share_error: Vec<f64>,
}

impl UnitUse {
    /// Returns, for each probed unit, whether nothing reads it. Two conditions have to hold:
    ///
    /// * Its share is below `unused_share` of the mean share.
    /// * The upper bound of its value, at the confidence of the thresholds over all units together
    ///   (Holm 1979), is at most `unused_share` of the mean value, or at most 0 if the mean is
    ///   negative.
    ///
    /// ```
    /// use vdn_model::diagnostics::{CollapseThresholds, UnitUse};
    /// let found = UnitUse {
    ///     units: vec![0, 1],
    ///     windows: 64,
    ///     value: vec![0.3, 0.0],
    ///     value_error: vec![0.05, 0.0],
    ///     net: vec![0.09, -0.2],
    ///     share: vec![0.6, 0.0],
    ///     share_error: vec![0.1, 0.0],
    /// };
    /// assert_eq!(found.unread(&CollapseThresholds::default()), [false, true]);
    /// assert_eq!(found.valuable(0.95), [true, false]);
    /// // 1.8 standard errors: enough of one unit, not of two.
    /// assert_eq!(found.worth_their_cost(0.95), [false, false]);
    /// ```
    #[must_use]
    pub fn unread(&self, thresholds: &CollapseThresholds) -> Vec<bool> {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len().max(1) as f64;
        let margin = thresholds.unused_share * mean(&self.value).max(0.0);
        let largest_share = thresholds.unused_share * mean(&self.share);
        let below: Vec<f64> = self.value.iter().map(|value| margin - value).collect();
        let mut unread = clearly_positive(&below, &self.value_error, thresholds.confidence, true);
        for (unread, share) in unread.iter_mut().zip(&self.share) {
            *unread &= *share <= largest_share;
        }
        unread
    }

    /// Returns, for each probed unit, whether it has value: the lower bound of its value, over all
    /// units together, is above 0.
    #[must_use]
    pub fn valuable(&self, confidence: f64) -> Vec<bool> {
        clearly_positive(&self.value, &self.value_error, confidence, false)
    }

    /// Returns, for each probed unit, whether its value exceeds its cost: the lower bound of its
    /// net value, over all units together, is above 0.
    #[must_use]
    pub fn worth_their_cost(&self, confidence: f64) -> Vec<bool> {
        clearly_positive(&self.net, &self.value_error, confidence, false)
    }
}

/// Returns which of several estimates are above 0, such that the probability of a single error
/// among all is at most `1 - confidence` (Holm's step-down procedure, 1979, on one-sided normal
/// bounds).
///
/// An estimate with an error of 0 is decided by its sign; if it is 0, too, `zero` decides. An
/// estimate whose error is unknown is never above 0.
fn clearly_positive(x: &[f64], errors: &[f64], confidence: f64, zero: bool) -> Vec<bool> {
    let score = |i: usize| match (x[i], errors[i]) {
        (x, 0.0) if x > 0.0 || (x == 0.0 && zero) => f64::INFINITY,
        (_, 0.0) => f64::NEG_INFINITY,
        (x, error) => x / error,
    };
    let mut order: Vec<usize> = (0..x.len()).filter(|&i| !score(i).is_nan()).collect();
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let mut clear = vec![false; x.len()];
    for (place, &i) in order.iter().enumerate() {
        let level = (1.0 - confidence) / (x.len() - place) as f64;
        if score(i) < mixture_quantile(&[0.0], None, 1.0, 1.0 - level) {
            break;
        }
        clear[i] = true;
    }
    clear
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[f64], error: &[f64], share: &[f64]) -> UnitUse {
        UnitUse {
            units: (0..value.len()).collect(),
            windows: 64,
            value: value.to_vec(),
            value_error: error.to_vec(),
            net: value.to_vec(),
            share: share.to_vec(),
            share_error: error.to_vec(),
        }
    }

    #[test]
    fn unread_needs_both_a_small_share_and_a_bound_below_the_margin() {
        let thresholds = CollapseThresholds::default();
        let unread = of(
            &[1.0, 0.0, 0.0, -0.5, 0.0],
            &[0.1, 0.0, 1.0, 0.01, 0.0],
            &[0.5, 0.0, 0.0, 0.3, 0.001],
        )
        .unread(&thresholds);
        // In order: read; never read; too noisy to decide; harmful but read; negligible.
        assert_eq!(unread, [false, true, false, false, true]);
    }

    #[test]
    fn a_layer_that_nothing_reads_is_unread_as_a_whole() {
        let unread = of(&[0.0; 3], &[0.0; 3], &[0.0; 3]).unread(&CollapseThresholds::default());
        assert_eq!(unread, [true; 3]);
    }

    #[test]
    fn many_units_are_not_called_unread_by_chance() {
        // 1000 units whose only effect is noise: their shares are like the others', their scores
        // are normal. Holm's procedure keeps the probability of any alarm below 5 %: the least of
        // 1000 scores is about -3.2, the bound is -3.9.
        let n = 1000;
        let score =
            |i: usize| mixture_quantile(&[0.0], None, 1.0, (i as f64 + 0.5) / f64::from(1000));
        let value: Vec<f64> = (0..n).map(score).collect();
        let found = of(&value, &vec![1.0; n], &vec![0.0; n]);
        assert!(!found.unread(&CollapseThresholds::default()).contains(&true));
        // They are not valuable, either: 23 of them lie two standard errors above 0.
        assert!(!found.valuable(0.95).contains(&true));
    }
}
