//! Quantile ("pinball") loss, and its normalised form in forecasting benchmarks.
//!
//! The ProbTS benchmark (Zhang and others 2024, arXiv 2310.07446) and GluonTS report the
//! *normalised quantile loss* under the name CRPS, although it is not the CRPS in the unit of the
//! target:
//!
//! ```text
//! mean over levels q of  [ 2 sum |(yhat_q - y) (1{y <= yhat_q} - q)| ] / [ sum |y| ],
//! ```
//!
//! Both sums run over all windows, steps and series; `yhat_q` is the predicted q-quantile. The
//! summand is twice the pinball loss. The levels are `q = k/Q, k = 1..Q-1`: `Q = 10` by default in
//! that benchmark's code, `Q = 20` in its long-term forecasting configurations.
//!
//! Three differences matter in a comparison with the benchmark's tables:
//!
//! * The denominator depends on the origin of the scale. The benchmark's main column is on the
//!   original scale of the data, its `norm_` column on standardised data.
//! * The benchmark computes the ratio per test batch and averages the ratios weighted by batch
//!   size. Here the ratio is computed once over everything.
//! * The benchmark takes its quantiles from 100 sampled paths. Here they come from the inverse of
//!   the predictive distribution function.
//!
//! [`super::probts`] has the scores as the benchmark computes them.

use crate::metrics::error::{MetricError, open_probability};

/// The pinball loss of the quantile forecast `quantile` at level `tau`, in the unit of `y`:
/// `max(tau e, (tau - 1) e)` with `e = y - quantile`.
///
/// ```
/// use vdn_train::metrics::pinball_loss;
/// assert_eq!(pinball_loss(0.75, 3.0, 1.0), 1.5); // the target lies above the forecast
/// assert_eq!(pinball_loss(0.75, 1.0, 3.0), 0.5);
/// ```
#[must_use]
#[inline]
pub fn pinball_loss(tau: f64, y: f64, quantile: f64) -> f64 {
    let excess = y - quantile;
    (tau * excess).max((tau - 1.0) * excess)
}

/// The levels `k/Q` of the normalised quantile loss, for `k = 1..Q-1`.
///
/// # Errors
/// Returns an error when `count` is below 2.
pub fn quantile_levels(count: usize) -> Result<Vec<f64>, MetricError> {
    if count < 2 {
        let (operation, expected) = ("quantile levels", "at least 2");
        return Err(MetricError::Setting {
            operation,
            name: "count",
            value: count as f64,
            expected,
        });
    }
    Ok((1..count).map(|k| k as f64 / count as f64).collect())
}

/// The normalised quantile loss of quantile forecasts `quantiles [n, Q]` at `levels [Q]` for
/// targets `y [n]`. It is dimensionless; see the head of the module.
///
/// # Errors
/// Returns an error when the lengths do not fit, a level is outside (0, 1), a number is not finite
/// or all targets are zero.
pub fn normalised_quantile_loss(
    levels: &[f64],
    quantiles: &[f64],
    y: &[f64],
) -> Result<f64, MetricError> {
    const METRIC: &str = "normalised quantile loss";
    if levels.is_empty() || y.is_empty() || quantiles.len() != levels.len() * y.len() {
        let detail = format!(
            "quantiles ({} values), levels [{}], y [{}]: expected [n, Q], [Q], [n]",
            quantiles.len(),
            levels.len(),
            y.len()
        );
        return Err(MetricError::shape(METRIC, detail));
    }
    for level in levels {
        open_probability(METRIC, "level", *level)?;
    }
    let (mut loss, mut scale) = (0.0, 0.0);
    for (row, y) in quantiles.chunks_exact(levels.len()).zip(y) {
        scale += y.abs();
        loss += step_quantile_loss(levels, row, *y);
    }
    let value = loss / scale;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(MetricError::Score { metric: METRIC, window: 0, step: None, value })
    }
}

/// The contribution of one target to the numerator: the mean over levels of twice the pinball loss.
pub(crate) fn step_quantile_loss(levels: &[f64], quantiles: &[f64], y: f64) -> f64 {
    let total: f64 = levels.iter().zip(quantiles).map(|(q, x)| 2.0 * pinball_loss(*q, y, *x)).sum();
    total / levels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{crps, normal};

    #[test]
    fn normalised_loss_of_a_hand_computed_example() {
        // Levels 0.25, 0.75; y = 2 with forecasts 1, 4: 2 * 0.25 * 1 = 0.5 and 2 * 0.25 * 2 = 1.0;
        // y = -1 with 0, 0: 2 * 0.75 * 1 = 1.5 and 2 * 0.25 * 1 = 0.5. Mean over levels 0.75 + 1.0,
        // over |2| + |-1|.
        let value = normalised_quantile_loss(&[0.25, 0.75], &[1.0, 4.0, 0.0, 0.0], &[2.0, -1.0]);
        assert!((value.unwrap() - 1.75 / 3.0).abs() < 1e-15);
        let bad: &[(&[f64], &[f64], &[f64])] = &[
            (&[0.5], &[1.0, 2.0], &[1.0]),
            (&[1.0], &[1.0], &[1.0]),
            (&[0.5], &[f64::NAN], &[1.0]),
            (&[0.5], &[1.0], &[0.0]),
            (&[], &[], &[]),
        ];
        for (levels, quantiles, y) in bad {
            assert!(
                normalised_quantile_loss(levels, quantiles, y).is_err(),
                "{levels:?} {quantiles:?} {y:?}"
            );
        }
        assert_eq!(quantile_levels(4).unwrap(), [0.25, 0.5, 0.75]);
        assert!(quantile_levels(1).is_err());
    }

    #[test]
    fn twice_the_mean_pinball_loss_over_all_levels_is_the_crps() {
        // CRPS = 2 integral of the pinball loss over tau (Laio and Tamea 2007); midpoint rule with
        // n levels. The integrand's second derivative grows like 1/tau at the ends, so the error is
        // about (1/n^2) ln n.
        let (mean, sigma) = (0.4, 1.7);
        let n = 4000;
        for y in [-3.0, 0.4, 1.0, 5.0] {
            let total: f64 = (0..n)
                .map(|k| (k as f64 + 0.5) / n as f64)
                .map(|tau| 2.0 * pinball_loss(tau, y, mean + sigma * normal::quantile(tau)))
                .sum();
            let exact = crps::gaussian_crps(mean, sigma, y);
            assert!((total / n as f64 - exact).abs() < 2e-5, "{y}: {} {exact}", total / n as f64);
        }
    }
}
