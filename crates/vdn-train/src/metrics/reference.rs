//! The scores of the published research code, with its floors, for comparison with its results.
//!
//! `s = max(sigma, floor)`, and `eps` is added inside logarithms and denominators: the log density
//! of one element is `-(ln(2 pi)/2 + ln(s + eps) + (y - mu)^2 / (2 (s^2 + eps)))`. The mixture
//! likelihood is the `tempered` score; CRPS and quantiles come from the moment-matched Gaussian.
//!
//! This module computes values only; gradients come from the tape. The default metrics of this
//! crate need no floors: there, a sigma that is not positive is an error.

use crate::metrics::error::MetricError;
use crate::metrics::mixture::LogMeanExp;
use crate::metrics::normal;
use crate::metrics::pinball::pinball_loss;
use std::f64::consts::{LN_2, PI};

/// The floors of the likelihoods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floors {
    /// The smallest deviation.
    pub sigma: f64,
    /// A constant added to deviations and variances in denominators and logarithms.
    pub eps: f64,
}

impl Default for Floors {
    fn default() -> Self {
        Self { sigma: 1e-6, eps: 1e-12 }
    }
}

impl Floors {
    /// The log density of `y` under `Normal(mu, sigma^2)` with floors.
    #[must_use]
    pub fn log_density(&self, mu: f64, sigma: f64, y: f64) -> f64 {
        let s = at_least(sigma, self.sigma);
        let residual = y - mu;
        -(0.5 * (LN_2 + PI.ln())
            + (s + self.eps).ln()
            + residual * residual / (2.0 * (s * s + self.eps)))
    }

    /// The mean negative log-likelihood of `y [n]` under `Normal(mu [n], sigma [n]^2)`, in nats per
    /// element.
    ///
    /// # Errors
    /// Returns an error when the lengths differ or are 0, or the result is not finite.
    pub fn gaussian_nll(&self, mu: &[f64], sigma: &[f64], y: &[f64]) -> Result<f64, MetricError> {
        mean_over("reference gaussian nll", mu, sigma, y, |m, s, y| -self.log_density(m, s, y))
    }

    /// The mean CRPS of `Normal(mu, sigma^2)`, each `[n]`.
    ///
    /// # Errors
    /// Returns the errors of [`Floors::gaussian_nll`].
    pub fn gaussian_crps(&self, mu: &[f64], sigma: &[f64], y: &[f64]) -> Result<f64, MetricError> {
        mean_over("reference gaussian crps", mu, sigma, y, |m, s, y| {
            let s = at_least(s, self.sigma);
            let z = (y - m) / (s + self.eps);
            let middle = 1.0 - 2.0 * normal::cdf(-z.abs());
            s * (z.abs() * middle + 2.0 * normal::pdf(z) - 1.0 / PI.sqrt())
        })
    }

    /// The mean pinball loss at `tau` with the quantile of `Normal(mu, sigma^2)`, each `[n]`.
    ///
    /// # Errors
    /// Returns the errors of [`Floors::gaussian_nll`].
    pub fn gaussian_pinball(
        &self,
        tau: f64,
        mu: &[f64],
        sigma: &[f64],
        y: &[f64],
    ) -> Result<f64, MetricError> {
        let z = normal::quantile(tau);
        mean_over("reference gaussian pinball", mu, sigma, y, |m, s, y| {
            pinball_loss(tau, y, m + at_least(s, self.sigma) * z)
        })
    }

    /// The tempered negative log-likelihood of `y [B, H]` under the mixture over samples of
    /// `Normal(means [S, B, H], sigma^2)`, with `sigma` `[B, H]` or `[S, B, H]`. It is in nats per
    /// time step, as the mean over the batch.
    ///
    /// # Errors
    /// Returns an error when the lengths do not fit, or the result is not finite.
    pub fn mixture_nll(
        &self,
        means: &[f64],
        sigma: &[f64],
        y: &[f64],
        horizon: usize,
    ) -> Result<f64, MetricError> {
        const METRIC: &str = "reference mixture nll";
        let samples = samples_of(METRIC, means, sigma, y.len())?;
        if horizon == 0 || !y.len().is_multiple_of(horizon) {
            let detail = format!("y ({} values), horizon {horizon}", y.len());
            return Err(MetricError::shape(METRIC, detail));
        }
        let mut total = 0.0;
        for (b, target) in y.chunks_exact(horizon).enumerate() {
            let mut mixture = LogMeanExp::default();
            for s in 0..samples {
                let log_densities = target.iter().enumerate().map(|(h, value)| {
                    let element = s * y.len() + b * horizon + h;
                    self.log_density(means[element], sigma[element % sigma.len()], *value)
                });
                mixture.add(log_densities.sum::<f64>() / horizon as f64, 1.0 / samples as f64);
            }
            total -= mixture.value();
        }
        finite(METRIC, total / (y.len() / horizon) as f64)
    }

    /// The mean `[n]` and the deviation `[n]` of the mixture over samples with `means [S, n]` and
    /// `sigma` `[n]` or `[S, n]`. The deviation is
    /// `sqrt(max(mean_s s^2 + mean_s m^2 - mean^2, eps))`, in the uncentred form of the original.
    ///
    /// # Errors
    /// Returns an error when the lengths do not fit, or a deviation is not finite.
    pub fn mixture_moments(
        &self,
        means: &[f64],
        sigma: &[f64],
        n: usize,
    ) -> Result<[Vec<f64>; 2], MetricError> {
        let samples = samples_of("reference mixture moments", means, sigma, n)?;
        let copies = sigma.len() / n;
        let mean_of = |copies: usize, f: &dyn Fn(usize) -> f64| {
            (0..copies).map(f).sum::<f64>() / copies as f64
        };
        let (mut mean, mut deviation) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for i in 0..n {
            let first = mean_of(samples, &|s| means[s * n + i]);
            let second = mean_of(samples, &|s| means[s * n + i].powi(2));
            let noise = mean_of(copies, &|s| at_least(sigma[s * n + i], self.sigma).powi(2));
            mean.push(first);
            let variance = at_least(noise + second - first * first, self.eps);
            deviation.push(finite("reference mixture moments", variance.sqrt())?);
        }
        Ok([mean, deviation])
    }
}

/// `max(value, floor)`, but NaN stays NaN.
fn at_least(value: f64, floor: f64) -> f64 {
    if value < floor { floor } else { value }
}

/// The number of samples in `means [S, n]`, if `sigma` is `[n]` or `[S, n]`.
fn samples_of(
    metric: &'static str,
    means: &[f64],
    sigma: &[f64],
    n: usize,
) -> Result<usize, MetricError> {
    let fits = n > 0 && !means.is_empty() && means.len().is_multiple_of(n);
    if fits && (sigma.len() == n || sigma.len() == means.len()) {
        return Ok(means.len() / n);
    }
    let detail = format!(
        "means ({} values), sigma ({} values), n = {n}: expected means [S, n], sigma [n] or [S, n]",
        means.len(),
        sigma.len()
    );
    Err(MetricError::shape(metric, detail))
}

fn mean_over(
    metric: &'static str,
    mu: &[f64],
    sigma: &[f64],
    y: &[f64],
    score: impl Fn(f64, f64, f64) -> f64,
) -> Result<f64, MetricError> {
    if y.is_empty() || mu.len() != y.len() || sigma.len() != y.len() {
        let detail = format!("mu [{}], sigma [{}], y [{}]", mu.len(), sigma.len(), y.len());
        return Err(MetricError::shape(metric, detail));
    }
    let total: f64 = mu.iter().zip(sigma).zip(y).map(|((m, s), y)| score(*m, *s, *y)).sum();
    finite(metric, total / y.len() as f64)
}

fn finite(metric: &'static str, value: f64) -> Result<f64, MetricError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(MetricError::Score { metric, window: 0, step: None, value })
    }
}
