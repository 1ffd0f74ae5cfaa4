//! Calibration of the output noise on held-out rows.
//!
//! A network's residuals on training rows are smaller than on other rows, so its scales are too
//! small, especially where it fits best. The networks that choose the number of epochs predict rows
//! on which they were not trained. From these predictions two numbers are fitted for each target by
//! maximum likelihood:
//!
//! ```text
//! scale -> sqrt((factor * scale)^2 + floor^2)
//! ```
//!
//! The dispersion of the negative binomial distribution has the same calibration as a scale.
//!
//! Classes have one number, a temperature, by which the logits are divided (Guo and others 2017,
//! "On Calibration of Modern Neural Networks").

use crate::evaluate::Outlier;
use crate::network::{Calibration, Likelihood, Observation, log_mean_exp};

/// The largest number of rows for a calibration. They are evenly spaced.
pub(crate) const MOST_ROWS: usize = 2000;

/// The prediction of one held-out row: its distributions by sample, and its target, in the units of
/// the network.
#[derive(Clone, Debug)]
pub(crate) enum HeldOut {
    Number(Vec<Observation>, f64),
    Class(Vec<Vec<f64>>, usize),
}

impl HeldOut {
    /// The negative log-likelihood under a calibration.
    fn nll(&self, [factor, floor]: [f64; 2], outlier: Option<Outlier>) -> f64 {
        let l: Vec<f64> = match self {
            Self::Number(parts, y) => {
                let scale = |scale: f64| (factor * scale).hypot(floor);
                parts.iter().map(|part| part.rescaled(scale).ln_density(*y)).collect()
            }
            Self::Class(logits, class) => logits
                .iter()
                .map(|logits| {
                    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = logits.iter().map(|x| ((x - largest) / factor).exp()).sum();
                    (logits[*class] - largest) / factor - sum.ln()
                })
                .collect(),
        };
        match (self, outlier) {
            (Self::Number(_, y), Some(outlier)) => -outlier.mixed(log_mean_exp(&l), *y),
            _ => -log_mean_exp(&l),
        }
    }
}

/// The calibration with the best likelihood of `rows[column]`, the held-out predictions of each
/// target. Outliers have the probability `share`, so that they do not cause larger scales.
pub(crate) fn calibrate(likelihood: Likelihood, rows: &[Vec<HeldOut>], share: f64) -> Calibration {
    // A likelihood with a scale has standardised targets, for which the outliers are standard
    // normal. Counts have no outliers.
    let outlier = likelihood.has_scale().then_some(Outlier { share, parameters: [0.0, 1.0] });
    let mut found = Calibration { factor: Vec::new(), floor: Vec::new() };
    for own in rows {
        let mean = |parameters: [f64; 2]| -> f64 {
            own.iter().map(|row| row.nll(parameters, outlier)).sum::<f64>() / own.len() as f64
        };
        let factor = |floor: f64| minimum(&|x| mean([x.exp(), floor]), [-1.5, 2.0]).exp();
        let floors = likelihood.has_width();
        let [best, floor] = match (own.is_empty(), floors) {
            (true, _) => [1.0, 0.0],
            // A Poisson distribution has no width to calibrate.
            _ if likelihood == Likelihood::Poisson => [1.0, 0.0],
            (false, false) => [factor(0.0), 0.0],
            (false, true) => {
                // First a search without a floor, then both in turns. Floors are searched on a
                // logarithmic scale.
                let mut at = [factor(0.0), 0.0];
                for _ in 0..4 {
                    let floor = minimum(&|x| mean([at[0], x.exp()]), [-7.0, 0.0]).exp();
                    let factor = factor(floor);
                    if mean([factor, floor]) >= mean(at) - 1e-6 {
                        break;
                    }
                    at = [factor, floor];
                }
                at
            }
        };
        found.factor.push(best);
        found.floor.push(floor);
    }
    found
}

/// The minimum of `f` in an interval, to about a hundredth: the best point of a coarse grid, then a
/// golden-section search around it.
fn minimum(f: &dyn Fn(f64) -> f64, [low, high]: [f64; 2]) -> f64 {
    const STEPS: usize = 12;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let step = (high - low) / STEPS as f64;
    let grid = (0..=STEPS).map(|i| low + i as f64 * step);
    let best = grid.map(|x| (x, f(x))).min_by(|a, b| a.1.total_cmp(&b.1));
    let (start, _) = best.unwrap_or((low, 0.0));
    let (mut a, mut b) = ((start - step).max(low), (start + step).min(high));
    while b - a > 0.01 {
        let (left, right) = (b - GOLDEN * (b - a), a + GOLDEN * (b - a));
        if f(left) < f(right) { b = right } else { a = left }
    }
    0.5 * (a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_train::metrics::normal;

    #[test]
    fn scales_that_are_off_by_a_factor_and_a_floor_are_found() {
        // Residuals at the quantiles of Normal(0, (2 s)^2 + 0.3^2), for networks that predict s.
        let n = 400;
        let row = |i: i32| {
            let s = [0.05, 0.2, 0.8][(i % 3) as usize];
            let z = normal::quantile((f64::from(i / 3) + 0.5) / f64::from(n / 3 + 1));
            let y = z * (2.0_f64 * s).hypot(0.3);
            HeldOut::Number(vec![Observation::Gaussian([0.0, s]); 2], y)
        };
        let rows: Vec<HeldOut> = (0..n).map(row).collect();
        let found = calibrate(Likelihood::Gaussian, &[rows], 1e-6);
        // With exact quantiles instead of draws, the errors come from the grid and the 400 rows.
        assert!((found.factor[0] - 2.0).abs() < 0.1, "{found:?}");
        assert!((found.floor[0] - 0.3).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn logits_that_are_too_sure_get_a_temperature() {
        // 80 % correct where the network says 98 %: ln(0.98 / 0.02) = 3.89, ln(0.8 / 0.2) = 1.39.
        let sure = (0.98_f64 / 0.02).ln();
        let row =
            |i: usize| HeldOut::Class(vec![vec![sure, 0.0]; 3], usize::from(i.is_multiple_of(5)));
        let rows: Vec<HeldOut> = (0..100).map(row).collect();
        let found = calibrate(Likelihood::Categorical, &[rows], 1e-6);
        assert!((found.factor[0] - sure / 4_f64.ln()).abs() < 0.05, "{found:?}");
        assert_eq!(found.floor, [0.0]);
    }
}
