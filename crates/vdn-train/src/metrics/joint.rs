//! The joint log-likelihood of a whole window over many samples, computed in passes.
//!
//! The value is `-ln 1/S sum_s p(y | z_s)` with
//! `p(y | z_s) = prod_h Normal(y_h; m_{s,h}, sigma_{s,h}^2)`: the mean over samples of the density
//! of the *whole* path. In expectation the estimate is an upper bound of the negative
//! log-likelihood (Jensen), too high by about `Var(p)/(2 S p^2)`. It falls as `S` grows, so report
//! it together with `S`.

use crate::metrics::error::MetricError;
use crate::metrics::mixture::{LogMeanExp, Mixture};
use crate::metrics::normal;
use crate::metrics::window::WindowPrediction;

/// Accumulates the samples of one window, pass by pass.
///
/// ```
/// use vdn_train::metrics::{JointNll, WindowPrediction, window_nll};
/// let means = [0.1, 0.4, -0.3, 0.2];
/// let both = WindowPrediction::new(&means, &[0.5, 0.6], None, 2)?;
/// let mut joint = JointNll::default();
/// for sample in means.chunks(2) {
///     joint.push(&WindowPrediction::new(sample, &[0.5, 0.6], None, 2)?, &[0.0, 0.3])?;
/// }
/// assert_eq!(joint.samples(), 2);
/// let at_once = 2.0 * window_nll(&both, &[0.0, 0.3])?.joint;
/// assert!((joint.value().unwrap() - at_once).abs() < 1e-14);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JointNll {
    sum: LogMeanExp,
    samples: usize,
}

impl JointNll {
    /// Adds the samples of `prediction` with its own weights, which sum to 1 in each pass. A pass
    /// counts by its number of samples.
    ///
    /// # Errors
    /// Returns an error when an input is not finite or outside its domain, or when the log density
    /// of a path overflows.
    pub fn push(
        &mut self,
        prediction: &WindowPrediction<'_>,
        target: &[f64],
    ) -> Result<(), MetricError> {
        const METRIC: &str = "joint nll";
        prediction.check(METRIC, target)?;
        let samples = prediction.samples();
        // The terms that do not depend on the sample, if all samples have the same deviations.
        let normaliser = |s: usize| -> f64 {
            let each = (0..target.len()).map(|h| prediction.sigma(s, h).ln() - normal::ln_pdf(0.0));
            each.sum()
        };
        let shared = prediction.shares_sigma().then(|| normaliser(0));
        for s in 0..samples {
            let square = |(h, y): (usize, &f64)| {
                let distance = (y - prediction.mean(s, h)) / prediction.sigma(s, h);
                distance * distance
            };
            let squares: f64 = target.iter().enumerate().map(square).sum();
            let value = match prediction.floor() {
                None => -0.5 * squares - shared.unwrap_or_else(|| normaliser(s)),
                Some(floor) => {
                    let step = |(h, y): (usize, &f64)| {
                        let own = ([prediction.mean(s, h)], [prediction.sigma(s, h)]);
                        let own = Mixture::trusted(&own.0, &own.1, None).with_floor(floor);
                        own.component_ln_pdf(0, *y)
                    };
                    target.iter().enumerate().map(step).sum()
                }
            };
            if !value.is_finite() {
                return Err(MetricError::Score { metric: METRIC, window: 0, step: None, value });
            }
            self.sum.add(value, prediction.weight(s) * samples as f64);
        }
        self.samples += samples;
        Ok(())
    }

    /// The number of samples so far.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The negative joint log-likelihood in nats per window; `None` before the first sample.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.samples > 0).then(|| (self.samples as f64).ln() - self.sum.value())
    }
}
