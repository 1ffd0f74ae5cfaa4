//! [`UnitUse`]: what is read of each unit downstream, measured by interventions, with standard errors.
//!
//! ```text
//! value      dLL_i = E ln p(y | z) - E ln p(y | z with z_i drawn from its prior)          nats per window
//! net value  dLL_i - KL_i
//! share      T_i   = E |m(z) - m(z with z_i redrawn from q_i)|^2 / (2 tr Var m)           total effect (Sobol 2001)
//! ```

use crate::core::mixture::mixture_quantile;
use crate::diagnostics::collapse::CollapseThresholds;

/// The measures of those units that were probed, each `[units probed]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitUse {
    /// Which units.
    pub units: Vec<usize>,
    /// Windows behind every number.
    pub windows: usize,
    /// `dLL_i`, nats per window.
    pub value: Vec<f64>,
    /// Its standard error; NaN where there are too few windows for one.
    pub value_error: Vec<f64>,
    /// `dLL_i - KL_i`, nats per window.
    pub net: Vec<f64>,
    /// `T_i`; 0 where predictions do not vary at all.
    pub share: Vec<f64>,
    /// Its standard error; NaN where there are too few windows for one.
    pub share_error: Vec<f64>,
}

impl UnitUse {
    /// Whether nothing reads a unit, for each that was probed: its share is below `unused_share` of the mean, and the
    /// upper bound of its value, at the confidence of the thresholds over all units together (Holm 1979), is at most
    /// `unused_share` of the mean value (at most 0 where that is negative).
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

    /// Whether a unit brings something, for each that was probed: the lower bound of its value, over all units together,
    /// is above 0.
    #[must_use]
    pub fn valuable(&self, confidence: f64) -> Vec<bool> {
        clearly_positive(&self.value, &self.value_error, confidence, false)
    }

    /// Whether a unit brings more than it costs, for each that was probed: the lower bound of its net value, over all
    /// units together, is above 0.
    #[must_use]
    pub fn worth_their_cost(&self, confidence: f64) -> Vec<bool> {
        clearly_positive(&self.net, &self.value_error, confidence, false)
    }
}

/// Which of several estimates are above 0, so that the chance of a single wrong one among all is at most `1 - confidence`
/// (Holm's step-down procedure, 1979, on one-sided normal bounds). An estimate without error counts as it is, one of 0 as
/// `zero` says; one whose error is unknown never.
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
        // Read; never read; too noisy to say; harmful but read; never read for all that matters.
        assert_eq!(unread, [false, true, false, false, true]);
    }

    #[test]
    fn a_layer_that_nothing_reads_is_unread_as_a_whole() {
        let unread = of(&[0.0; 3], &[0.0; 3], &[0.0; 3]).unread(&CollapseThresholds::default());
        assert_eq!(unread, [true; 3]);
    }

    #[test]
    fn many_units_are_not_called_unread_by_chance() {
        // 1000 units of no effect but noise: shares as those of the others, scores normal. Holm keeps the chance of any
        // alarm below 5 %: the least of 1000 scores is about -3.2, the bound -3.9.
        let n = 1000;
        let score =
            |i: usize| mixture_quantile(&[0.0], None, 1.0, (i as f64 + 0.5) / f64::from(1000));
        let value: Vec<f64> = (0..n).map(score).collect();
        let found = of(&value, &vec![1.0; n], &vec![0.0; n]);
        assert!(!found.unread(&CollapseThresholds::default()).contains(&true));
        // Nor valuable: 23 of them lie two standard errors above 0.
        assert!(!found.valuable(0.95).contains(&true));
    }
}
