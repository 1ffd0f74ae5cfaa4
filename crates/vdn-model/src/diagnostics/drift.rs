//! Drift: the distance in nats that the aggregate posteriors moved between two passes over the same
//! inputs.
//!
//! The aggregate posterior of a latent dimension is summarised by the normal `Normal(M1, C2 + V)`.
//! With `d = ln v_now - ln v_before`
//!
//! ```text
//! drift = KL(now || before) = [e^d - 1 - d + (m_now - m_before)^2 / v_before] / 2
//! ```
//!
//! `e^d - 1 - d` is evaluated by its series near 0, so that a small drift keeps its relative
//! accuracy.

use crate::units::statistics::UnitStatistics;

/// Returns `e^d - 1 - d`, accurate to rounding. [`f64::exp_m1`] alone loses half the digits at `|d|
/// = 1e-8`.
fn excess(d: f64) -> f64 {
    if d.abs() < 1e-2 {
        // The next term of the series is below 2e-19 of the first.
        let tail = 1.0 + d / 6.0 * (1.0 + d / 7.0 * (1.0 + d / 8.0 * (1.0 + d / 9.0)));
        0.5 * d * d * (1.0 + d / 3.0 * (1.0 + d / 4.0 * (1.0 + d / 5.0 * tail)))
    } else {
        d.exp_m1() - d
    }
}

/// Returns the drift of each unit in nats per latent dimension, or `None` if the two statistics
/// belong to different layers or one of them is empty.
///
/// ```
/// use vdn_model::diagnostics::drift;
/// use vdn_model::units::UnitStatistics;
/// let of = |mean: f64| {
///     let mut statistics = UnitStatistics::new();
///     statistics.merge(10, &[mean], &[0.5], &[0.0], &[0.0]);
///     statistics
/// };
/// let moved = drift(&of(0.3), &of(0.0), 1).unwrap();
/// assert!((moved[0] - 0.5 * 0.09 / 1.5).abs() < 1e-15);
/// ```
#[must_use]
pub fn drift(
    now: &UnitStatistics,
    before: &UnitStatistics,
    latent_dims: usize,
) -> Option<Vec<f64>> {
    let (dims, k) = (now.dims(), latent_dims.max(1));
    if before.dims() != dims || dims == 0 || dims % k != 0 {
        return None;
    }
    let total = |of: &UnitStatistics| -> Vec<f64> {
        of.spread().iter().zip(of.variance()).map(|(c2, v)| c2 + v).collect()
    };
    let ([m, w], [v, u]) = ([now.mean(), before.mean()], [total(now), total(before)]);
    let kl = |i: usize| 0.5 * (excess((v[i] / u[i]).ln()) + (m[i] - w[i]).powi(2) / u[i]);
    let units = (0..dims / k).map(|unit| (unit * k..(unit + 1) * k).map(kl).sum::<f64>());
    Some(units.map(|sum| sum / k as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excess_keeps_its_digits() {
        for d in [-0.3_f64, -9.9e-3, -1e-5, 1e-9, 2e-3, 9.99e-3, 0.7] {
            // Taylor's series to convergence.
            let (mut term, mut sum) = (d * d / 2.0, 0.0);
            for n in 3..40 {
                sum += term;
                term *= d / f64::from(n);
            }
            let error = (excess(d) / sum - 1.0).abs();
            // There it is a difference, and one rounding of e^d - 1 counts |d| / (d^2 / 2) times.
            let bound = if d.abs() < 1e-2 { 4e-16 } else { f64::EPSILON * (2.0 + 4.0 / d.abs()) };
            assert!(error <= bound, "d = {d:e}: {error:e}");
        }
    }

    #[test]
    fn a_changed_variance_drifts_and_other_layers_have_none() {
        let of = |c2: f64, units: usize| {
            let mut statistics = UnitStatistics::new();
            let zero = vec![0.0; units];
            statistics.merge(4, &zero, &vec![c2; units], &zero, &zero);
            statistics
        };
        let moved = drift(&of(1.0, 2), &of(0.0, 2), 2).unwrap();
        assert!((moved[0] - 0.5 * (2.0 - 1.0 - 2.0_f64.ln())).abs() < 1e-15, "{moved:?}");
        assert_eq!(drift(&of(1.0, 2), &of(1.0, 3), 1), None);
        assert_eq!(drift(&UnitStatistics::new(), &UnitStatistics::new(), 1), None);
    }
}
