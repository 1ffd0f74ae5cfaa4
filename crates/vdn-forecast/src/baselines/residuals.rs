//! Predictive distributions for point forecasts: deviations and quantiles of validation residuals,
//! per step of the horizon.

use crate::baselines::error::{BaselineError, check_finite};
use vdn_train::metrics::{MetricError, SortedSample, WindowPrediction};

/// The lower limit of the deviation of a Gaussian forecast, so that a baseline without error on
/// validation still has a density.
pub const SIGMA_FLOOR: f64 = 1e-6;

/// The validation residuals `target - forecast` of a baseline, in the units of its forecast, pooled
/// over windows and series.
#[derive(Clone, Debug)]
pub struct Residuals {
    sigma: Vec<f64>,
    steps: Vec<SortedSample>,
}

impl Residuals {
    /// Takes `residuals [n, horizon]`.
    ///
    /// # Errors
    /// Fails if there are none, if the length is not a multiple of the horizon, or if one is not
    /// finite.
    pub fn new(residuals: &[f64], horizon: usize) -> Result<Self, BaselineError> {
        const OPERATION: &str = "residuals";
        if horizon == 0 || residuals.is_empty() || !residuals.len().is_multiple_of(horizon) {
            let detail = format!(
                "residuals ({} values), horizon {horizon}: expected [n, H] with n > 0",
                residuals.len()
            );
            return Err(BaselineError::shape(OPERATION, detail));
        }
        check_finite(OPERATION, "residuals", residuals, horizon)?;
        let count = (residuals.len() / horizon) as f64;
        let (mut sigma, mut steps) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
        for h in 0..horizon {
            let step: Vec<f64> = residuals.iter().skip(h).step_by(horizon).copied().collect();
            let square = step.iter().map(|r| r * r).sum::<f64>() / count;
            sigma.push(square.sqrt().max(SIGMA_FLOOR));
            steps.push(SortedSample::new(step)?);
        }
        Ok(Self { sigma, steps })
    }

    /// Returns the root mean square of the residuals of each step, at least [`SIGMA_FLOOR`], `[H]`.
    /// This is the deviation of the Gaussian, centred on the forecast, that fits validation best
    /// (the deviation is around the forecast, not around the residuals' mean).
    #[must_use]
    pub fn sigma(&self) -> &[f64] {
        &self.sigma
    }

    /// Returns the sorted residuals of step `h`, if this step exists. A forecast plus `scale` times
    /// these residuals is an empirical predictive distribution.
    #[must_use]
    pub fn step(&self, h: usize) -> Option<&SortedSample> {
        self.steps.get(h)
    }

    /// Returns the empirical quantile `tau` of every step's residuals, `[H]`.
    ///
    /// # Errors
    /// Fails if `tau` is not in `[0, 1]`.
    pub fn quantiles(&self, tau: f64) -> Result<Vec<f64>, MetricError> {
        self.steps.iter().map(|step| step.quantile(tau)).collect()
    }
}

/// A baseline's forecasts for `n` windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub(super) horizon: usize,
    pub(super) mean: Vec<f64>,
    pub(super) sigma: Vec<f64>,
    pub(super) scale: Vec<f64>,
}

impl Forecast {
    /// Returns the number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scale.len()
    }

    /// Whether there are no windows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scale.is_empty()
    }

    /// Returns the point forecasts `[n, H]`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the Gaussian deviations `[n, H]`: the residuals' deviation times the window's scale.
    #[must_use]
    pub fn sigma(&self) -> &[f64] {
        &self.sigma
    }

    /// Returns the point forecasts and the deviations, `[n, H]` each, without a copy.
    pub(crate) fn into_parts(self) -> (Vec<f64>, Vec<f64>) {
        (self.mean, self.sigma)
    }

    /// Returns the Gaussian forecast of window `i` for scoring.
    ///
    /// # Errors
    /// Fails if the window does not exist.
    pub fn window(&self, i: usize) -> Result<WindowPrediction<'_>, BaselineError> {
        let range = self.range(i)?;
        Ok(WindowPrediction::gaussian(&self.mean[range.clone()], &self.sigma[range])?)
    }

    /// Returns the forecast quantiles `[H]` of window `i`: its point forecast plus the residuals'
    /// empirical quantiles `residual_quantiles [H]` (from [`Residuals::quantiles`]) times the
    /// window's scale.
    ///
    /// # Errors
    /// Fails if the window does not exist, or if the quantiles are not `[H]`.
    pub fn empirical_quantiles(
        &self,
        i: usize,
        residual_quantiles: &[f64],
    ) -> Result<Vec<f64>, BaselineError> {
        let range = self.range(i)?;
        if residual_quantiles.len() != self.horizon {
            let detail =
                format!("quantiles [{}], horizon {}", residual_quantiles.len(), self.horizon);
            return Err(BaselineError::shape("empirical quantiles", detail));
        }
        let mean = self.mean[range].iter();
        Ok(mean.zip(residual_quantiles).map(|(m, q)| m + self.scale[i] * q).collect())
    }

    /// Returns the scale of window `i`'s residuals relative to [`Residuals`], if the window exists.
    /// It is 1 unless windows are divided by their deviation.
    #[must_use]
    pub fn scale(&self, i: usize) -> Option<f64> {
        self.scale.get(i).copied()
    }

    fn range(&self, i: usize) -> Result<std::ops::Range<usize>, BaselineError> {
        if i < self.len() {
            return Ok(i * self.horizon..(i + 1) * self.horizon);
        }
        Err(BaselineError::shape("forecast", format!("window {i} of {}", self.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_and_quantiles_are_per_step() {
        let residuals = Residuals::new(&[3.0, 0.0, -4.0, 0.0, 0.0, 0.0], 2).unwrap();
        assert!((residuals.sigma()[0] - (25.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(residuals.sigma()[1], SIGMA_FLOOR);
        assert_eq!(residuals.quantiles(0.5).unwrap(), [0.0, 0.0]);
        assert_eq!(residuals.quantiles(0.25).unwrap(), [-2.0, 0.0]);
        assert_eq!(residuals.step(0).unwrap().values(), [-4.0, 0.0, 3.0]);
        assert!(residuals.quantiles(1.5).is_err() && residuals.step(2).is_none());
        for (values, horizon) in [(&[][..], 2), (&[1.0], 2), (&[1.0], 0), (&[f64::NAN], 1)] {
            assert!(Residuals::new(values, horizon).is_err(), "{values:?} {horizon}");
        }
    }
}
