//! Mutual information between the input and a unit's sample, by quadrature on a probe set.
//!
//! Take the `W` posteriors of a latent dimension on the probe windows, and their mixture `qbar`.
//! Then
//!
//! ```text
//! I = h(qbar) - mean_w ln(2 pi e sigma_w^2)/2        h(qbar) = - integral qbar ln qbar
//! ```
//!
//! is exact for an input drawn evenly from the probe set. It cannot exceed `ln W`, which is in
//! [`MutualInformation::ceiling`], nor the rate `R` of the same posteriors.
//!
//! The integral is a trapezoidal sum over the real line. The sum converges faster than any power of
//! the step for smooth integrands that vanish at infinity (Trefethen and Weideman 2014). The step
//! is half the least deviation if that needs at most 4096 points. The reported error is the
//! difference from the sum with twice the step, which is far larger than the error of the sum
//! itself.
//!
//! Cost: about `36 W` exponentials for each latent dimension; dimensions run in parallel.

use vdn_tensor::parallel;

/// The number of deviations to which a component reaches; there it is `e^(-40.5)` of its peak.
const REACH: f64 = 9.0;
/// The largest number of grid points.
const POINTS: usize = 4096;

/// The mutual information of each latent dimension.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MutualInformation {
    /// `I(x; z)` in nats, `[units * latent dims]`.
    pub nats: Vec<f64>,
    /// A bound of the quadrature error in nats, `[units * latent dims]`.
    pub error: Vec<f64>,
    /// The largest information that a probe set of this size can show, `ln W`.
    pub ceiling: f64,
}

/// Returns the mutual information for posteriors with the means `mu` and the log-variances
/// `logvar`, both `[windows, dims]`.
///
/// ```
/// use vdn_model::diagnostics::mutual_information;
/// // Two inputs told apart with certainty: one bit.
/// let found = mutual_information(&[-5.0, 5.0], &[-4.0, -4.0], 1);
/// assert!((found.nats[0] - std::f64::consts::LN_2).abs() <= found.error[0]);
/// assert!(found.error[0] < 1e-6);
/// ```
///
/// # Panics
/// Panics if the slices do not hold whole windows of `dims` dimensions, or differ in length.
#[must_use]
pub fn mutual_information(mu: &[f64], logvar: &[f64], dims: usize) -> MutualInformation {
    let windows = mu.len() / dims.max(1);
    assert_eq!([mu.len(), logvar.len()], [windows * dims; 2], "posteriors of whole windows");
    let mut results = vec![[0.0; 2]; dims];
    parallel::for_each_chunk(&mut results, 8, |chunk, results| {
        let mut components = Vec::with_capacity(windows);
        let mut grid = Vec::new();
        for (offset, result) in results.iter_mut().enumerate() {
            let dim = 8 * chunk + offset;
            components.clear();
            components.extend((0..windows).map(|w| {
                let at = w * dims + dim;
                [mu[at], (0.5 * logvar[at]).exp()]
            }));
            *result = of_mixture(&components, &mut grid);
        }
    });
    MutualInformation {
        nats: results.iter().map(|r| r[0]).collect(),
        error: results.iter().map(|r| r[1]).collect(),
        ceiling: (windows as f64).ln(),
    }
}

/// Returns the information that a draw holds about the component it came from, and a bound of the
/// error. `components` are means and deviations.
fn of_mixture(components: &[[f64; 2]], grid: &mut Vec<f64>) -> [f64; 2] {
    let none = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
    let (low, high, least) = components.iter().fold(none, |(low, high, least), &[m, s]| {
        (low.min(m - REACH * s), high.max(m + REACH * s), least.min(s))
    });
    let span = high - low;
    if components.is_empty() || !(span.is_finite() && least > 0.0) {
        return [f64::NAN; 2];
    }
    let step = (0.5 * least).max(span / (POINTS - 1) as f64);
    let points = (span / step).ceil() as usize + 1;
    grid.clear();
    grid.resize(points, 0.0);
    let weight = 1.0 / (components.len() as f64 * std::f64::consts::TAU.sqrt());
    let mut entropy_given = 0.0;
    for &[m, s] in components {
        entropy_given += s.ln();
        let first = (((m - REACH * s - low) / step).floor().max(0.0) as usize).min(points - 1);
        let last = (((m + REACH * s - low) / step).ceil() as usize).min(points - 1);
        let (scale, height) = (1.0 / s, weight / s);
        for (i, density) in grid.iter_mut().enumerate().take(last + 1).skip(first) {
            let x = (low + i as f64 * step - m) * scale;
            *density += height * (-0.5 * x * x).exp();
        }
    }
    let half_log = 0.5 * (1.0 + std::f64::consts::TAU.ln());
    let entropy_given = entropy_given / components.len() as f64 + half_log;
    // Even and odd points are summed separately: the even points alone give the sum with twice the
    // step.
    let mut sums = [0.0; 2];
    for (i, &q) in grid.iter().enumerate() {
        if q > 0.0 {
            sums[i % 2] -= q * q.ln();
        }
    }
    let [fine, coarse] = [step * (sums[0] + sums[1]), 2.0 * step * sums[0]];
    // The bound adds the rounding of the sums, which the difference does not show.
    let rounding = 1e-13 * (1.0 + fine.abs() + entropy_given.abs());
    [fine - entropy_given, (fine - coarse).abs() + rounding]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::statistics::UnitStatistics;
    use vdn_tensor::noise::NoiseKey;

    #[test]
    fn one_posterior_for_all_inputs_has_no_information() {
        let found = mutual_information(&[3.0; 50], &[-1.0; 50], 1);
        assert!(found.nats[0].abs() <= found.error[0], "{found:?}");
        // Twice the step is one deviation: 4 pi^2 e^(-2 pi^2) = 1e-7.
        assert!(found.error[0] < 1e-6);
    }

    #[test]
    fn a_gaussian_aggregate_meets_its_bound_and_no_unit_exceeds_its_rate() {
        // Windows at the quantiles of a normal: the aggregate is normal up to their spacing.
        let windows = 2000;
        let quantile = |w: usize| {
            crate::core::mixture_quantile(&[0.0], None, 1.0, (w as f64 + 0.5) / windows as f64)
        };
        let mu: Vec<f64> = (0..windows).map(quantile).collect();
        let found = mutual_information(&mu, &vec![0.0; windows], 1);
        let c2 = mu.iter().map(|m| m * m).sum::<f64>() / windows as f64;
        let rate = 0.5 * c2.ln_1p();
        assert!(found.nats[0] <= rate + found.error[0]);
        // The missing tails beyond the outermost quantile cost less than 1e-3.
        assert!((found.nats[0] - rate).abs() < 1e-3, "{} {rate}", found.nats[0]);

        let (dims, windows) = (40, 128);
        let mut noise = vec![0.0_f64; 2 * dims * windows];
        NoiseKey::new(5, 0, 0).fill_normal(0, &mut noise);
        let (mu, logvar) = noise.split_at_mut(dims * windows);
        for i in 0..dims * windows {
            let dim = i % dims;
            // Means from hardly to widely spread, heavy-tailed in some; deviations from narrow to
            // wide.
            mu[i] = if dim % 3 == 0 { mu[i].powi(3) } else { mu[i] } * 0.2 * dim as f64;
            logvar[i] = logvar[i] * 0.7 - 0.1 * dim as f64;
        }
        let found = mutual_information(mu, logvar, dims);
        let mut statistics = UnitStatistics::new();
        for (mu, logvar) in mu.chunks_exact(dims).zip(logvar.chunks_exact(dims)) {
            let d0: Vec<f64> = logvar.iter().map(|l| l.exp_m1() - l).collect();
            statistics.merge(1, mu, &vec![0.0; dims], &d0, logvar);
        }
        for (dim, rate) in statistics.rate().iter().enumerate() {
            let (nats, error) = (found.nats[dim], found.error[dim]);
            assert!(nats >= -error && nats <= rate + error, "{dim}: {nats} +- {error:e}, {rate}");
            assert!(nats <= found.ceiling + error, "{dim}: {nats}");
            assert!(error < 0.01, "{dim}: {error:e}");
        }
    }

    #[test]
    fn the_error_bounds_what_a_finer_grid_changes() {
        // Narrow components in a wide span: more points than the grid may have.
        let components: Vec<[f64; 2]> =
            (0..64).map(|w| [f64::from(w * w), if w % 2 == 0 { 0.5 } else { 3.0 }]).collect();
        let found = of_mixture(&components, &mut Vec::new());
        // Ten times the points, by hand.
        let step = 0.02;
        let (mut h, mut z) = (0.0, -40.0);
        while z < 4100.0 {
            let q: f64 = components
                .iter()
                .map(|[m, s]| {
                    (-0.5 * ((z - m) / s).powi(2)).exp() / (s * std::f64::consts::TAU.sqrt())
                })
                .sum::<f64>()
                / 64.0;
            if q > 0.0 {
                h -= step * q * q.ln();
            }
            z += step;
        }
        let given = components.iter().map(|[_, s]| s.ln()).sum::<f64>() / 64.0
            + 0.5 * (1.0 + std::f64::consts::TAU.ln());
        assert!((found[0] - (h - given)).abs() <= found[1] + 1e-9, "{found:?} {}", h - given);
    }
}
