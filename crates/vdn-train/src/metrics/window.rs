//! The arrays of a prediction: shapes, broadcasting of the output noise, and the checks before
//! scoring.

use crate::metrics::error::MetricError;
use crate::metrics::mixture::{Mixture, WEIGHTS_EXPECTED, check_weights};

/// Predictions for a batch of windows: sample means `[S, B, H]`, sigma that broadcasts to this
/// shape, and optional weights `[S, B]`. All arrays are row-major.
///
/// ```
/// use vdn_train::metrics::Predictions;
/// let means = [0.0, 1.0, 2.0, 3.0]; // two samples, one window, two steps
/// let batch = Predictions::new(&means, [2, 1, 2], &[0.5, 0.6], &[2], None)?;
/// assert_eq!(batch.window(0)?.mean(1, 0), 2.0);
/// assert_eq!(batch.window(0)?.sigma(1, 1), 0.6);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    means: &'a [f64],
    shape: [usize; 3],
    sigma: &'a [f64],
    /// The strides of `sigma` from sample to sample and from window to window; 0 if it is shared.
    sigma_strides: [usize; 2],
    weights: Option<&'a [f64]>,
}

impl<'a> Predictions<'a> {
    /// Takes `means [S, B, H]`, `sigma` of `sigma_shape` `[H]`, `[B, H]`, `[1, B, H]` or
    /// `[S, B, H]`, and `weights [S, B]` or none (uniform). The values are checked when a window is
    /// scored.
    ///
    /// # Errors
    /// Returns an error when a dimension is 0 or the lengths and shapes do not fit together.
    pub fn new(
        means: &'a [f64],
        shape: [usize; 3],
        sigma: &'a [f64],
        sigma_shape: &[usize],
        weights: Option<&'a [f64]>,
    ) -> Result<Self, MetricError> {
        let [samples, batch, horizon] = shape;
        let window = batch.checked_mul(horizon);
        let all = window.and_then(|w| w.checked_mul(samples)).filter(|&n| n > 0);
        let strides = match *sigma_shape {
            [h] if h == horizon => Some(([0, 0], horizon)),
            [b, h] if [b, h] == [batch, horizon] => Some(([0, horizon], batch * horizon)),
            [1, b, h] if [b, h] == [batch, horizon] => Some(([0, horizon], batch * horizon)),
            [s, b, h] if [s, b, h] == shape => all.map(|n| ([batch * horizon, horizon], n)),
            _ => None,
        };
        let weights_fit = weights.is_none_or(|w| Some(w.len()) == samples.checked_mul(batch));
        match strides {
            Some((sigma_strides, count))
                if all == Some(means.len()) && sigma.len() == count && weights_fit =>
            {
                Ok(Self { means, shape, sigma, sigma_strides, weights })
            }
            _ => Err(MetricError::shape(
                "predictions",
                format!(
                    "means {shape:?} ({} values), sigma {sigma_shape:?} ({} values), weights {}: expected means \
                     [S, B, H] without zeros, sigma [H], [B, H], [1, B, H] or [S, B, H], weights [S, B] or none",
                    means.len(),
                    sigma.len(),
                    weights.map_or("none".to_owned(), |w| format!("({} values)", w.len())),
                ),
            )),
        }
    }

    /// `[S, B, H]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The prediction for window `b`, without copying.
    ///
    /// # Errors
    /// Returns an error when `b` is not below `B`.
    pub fn window(&self, b: usize) -> Result<WindowPrediction<'a>, MetricError> {
        let [samples, batch, horizon] = self.shape;
        if b >= batch {
            return Err(MetricError::shape(
                "predictions",
                format!("window {b} of a batch of {batch}"),
            ));
        }
        Ok(WindowPrediction {
            means: &self.means[b * horizon..],
            mean_stride: batch * horizon,
            sigma: &self.sigma[b * self.sigma_strides[1]..],
            sigma_stride: self.sigma_strides[0],
            weights: self.weights.map(|w| (&w[b..], batch)),
            samples,
            horizon,
            shared: None,
            floor: None,
        })
    }
}

/// The part of the noise that the steps of a window share. Step `h` is
/// `mean[h] + sum_n loadings[h][n] eps_n + own[h] e_h` with independent standard normals `eps` and
/// `e`.
///
/// ```
/// use vdn_train::metrics::{Aggregate, SharedPart, WindowPrediction};
/// let prediction = WindowPrediction::gaussian(&[0.0, 0.0], &[1.0, 1.0])?;
/// // One noise for both steps, or with probability 1/4 independent steps.
/// let shared = SharedPart { loadings: &[1.0, 1.0], own: &[0.0, 0.0], apart: 0.25 };
/// let prediction = prediction.with_shared_noise(shared)?;
/// let sum = Aggregate::new(&prediction, &[1.0, 1.0])?;
/// // The sum has the variance 4, or 2.
/// assert!((sum.mixture().variance() - (0.75 * 4.0 + 0.25 * 2.0)).abs() < 1e-12);
/// let parts = sum.variance_parts();
/// assert!((parts.units - 3.0).abs() < 1e-12 && (parts.noise - 0.5).abs() < 1e-12);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedPart<'a> {
    /// The loadings of the shared causes, `[H, causes]`.
    pub loadings: &'a [f64],
    /// The deviations of the noise of single steps, `[H]`.
    pub own: &'a [f64],
    /// The probability, in [0, 1), that the steps are independent instead, with the same
    /// deviations.
    pub apart: f64,
}

/// The prediction for one window: `S` sample paths over `H` steps. Each step of each path has its
/// own output noise.
#[derive(Clone, Copy, Debug)]
pub struct WindowPrediction<'a> {
    means: &'a [f64],
    mean_stride: usize,
    sigma: &'a [f64],
    sigma_stride: usize,
    weights: Option<(&'a [f64], usize)>,
    samples: usize,
    horizon: usize,
    shared: Option<SharedPart<'a>>,
    /// The lower limit: values below it count as equal to it.
    floor: Option<f64>,
}

impl<'a> WindowPrediction<'a> {
    /// Takes `means [S, H]`, `sigma` `[H]` or `[S, H]`, and `weights [S]` or none, for
    /// `horizon = H`.
    ///
    /// # Errors
    /// Returns an error when the horizon is 0, there are no samples or the lengths do not fit.
    pub fn new(
        means: &'a [f64],
        sigma: &'a [f64],
        weights: Option<&'a [f64]>,
        horizon: usize,
    ) -> Result<Self, MetricError> {
        let samples = means.len().checked_div(horizon).unwrap_or(0);
        let sigma_shape: &[usize] =
            if sigma.len() == horizon { &[horizon] } else { &[samples, 1, horizon] };
        Predictions::new(means, [samples, 1, horizon], sigma, sigma_shape, weights)?.window(0)
    }

    /// The Gaussian prediction `Normal(mean[h], sigma[h]^2)`, with one sample.
    ///
    /// # Errors
    /// Returns an error when the two slices differ in length or are empty.
    pub fn gaussian(mean: &'a [f64], sigma: &'a [f64]) -> Result<Self, MetricError> {
        Self::new(mean, sigma, None, mean.len())
    }

    /// Adds the part of the noise that the steps share, for a prediction of one sample with
    /// `sigma[h]^2 = sum_n loadings[h][n]^2 + own[h]^2`. Scores of single steps do not change; sums
    /// of steps ([`Aggregate`](crate::metrics::Aggregate)) do.
    ///
    /// ```
    /// use vdn_train::metrics::{Aggregate, SharedPart, WindowPrediction};
    /// // All noise is shared: the sum of two steps has the deviation 2, not sqrt 2.
    /// let prediction = WindowPrediction::gaussian(&[0.0, 0.0], &[1.0, 1.0])?;
    /// let all = SharedPart { loadings: &[1.0, 1.0], own: &[0.0, 0.0], apart: 0.0 };
    /// let prediction = prediction.with_shared_noise(all)?;
    /// let sum = Aggregate::new(&prediction, &[1.0, 1.0])?;
    /// assert_eq!(sum.mixture().variance(), 4.0);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error when there is more than one sample, the lengths do not fit, or the
    /// probability is not in [0, 1).
    pub fn with_shared_noise(self, shared: SharedPart<'a>) -> Result<Self, MetricError> {
        let SharedPart { loadings, own, apart } = shared;
        if !(0.0..1.0).contains(&apart) {
            let (operation, expected) = ("shared noise", "in [0, 1)");
            return Err(MetricError::Setting { operation, name: "apart", value: apart, expected });
        }
        let fits = own.len() == self.horizon
            && !loadings.is_empty()
            && loadings.len().is_multiple_of(self.horizon);
        if self.samples == 1 && fits {
            return Ok(Self { shared: Some(shared), ..self });
        }
        let detail = format!(
            "shared noise: loadings of {} values and own deviations of {}, a prediction [{}, {}]: \
             expected [H, causes] and [H], and one sample",
            loadings.len(),
            own.len(),
            self.samples,
            self.horizon
        );
        Err(MetricError::shape("predictions", detail))
    }

    /// Sets a lower limit of the prediction: each step is `max(y_h, floor)`
    /// ([`Mixture::with_floor`]). Scores of single steps use the limited quantity. Sums of steps
    /// have no closed form.
    ///
    /// # Errors
    /// Returns an error when the limit is not finite.
    pub fn with_floor(self, floor: f64) -> Result<Self, MetricError> {
        if floor.is_finite() {
            return Ok(Self { floor: Some(floor), ..self });
        }
        let (operation, expected) = ("predictions", "a finite number");
        Err(MetricError::Setting { operation, name: "floor", value: floor, expected })
    }

    /// The limit, if there is one.
    #[must_use]
    pub fn floor(&self) -> Option<f64> {
        self.floor
    }

    /// The probability that the steps are independent; 0 if the prediction does not specify shared
    /// noise.
    pub(crate) fn apart(&self) -> f64 {
        self.shared.map_or(0.0, |shared| shared.apart)
    }

    /// The variances of `sum_h weights[h] y[h]` from the shared noise and from the steps' own
    /// noise, for dependent steps; `None` if the prediction does not specify shared noise.
    /// `weights` is `[H]`.
    pub(crate) fn shared_variances(&self, weights: &[f64]) -> Option<[f64; 2]> {
        let SharedPart { loadings, own, .. } = self.shared?;
        let causes = loadings.len() / self.horizon;
        let of_cause = |n: usize| -> f64 {
            weights.iter().enumerate().map(|(h, w)| w * loadings[h * causes + n]).sum()
        };
        let shared = (0..causes).map(|n| of_cause(n).powi(2)).sum();
        Some([shared, weights.iter().zip(own).map(|(w, d)| (w * d).powi(2)).sum()])
    }

    /// Like [`Self::shared_variances`], for one step.
    pub(crate) fn shared_variances_of(&self, step: usize) -> Option<[f64; 2]> {
        let SharedPart { loadings, own, .. } = self.shared?;
        let causes = loadings.len() / self.horizon;
        let squares = loadings[step * causes..][..causes].iter().map(|l| l * l);
        Some([squares.sum(), own[step] * own[step]])
    }

    /// The number of samples `S`.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The number of steps `H`.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The mean of sample `s` at step `h`.
    #[must_use]
    #[inline]
    pub fn mean(&self, s: usize, h: usize) -> f64 {
        self.means[s * self.mean_stride + h]
    }

    /// The deviation of sample `s` at step `h`.
    #[must_use]
    #[inline]
    pub fn sigma(&self, s: usize, h: usize) -> f64 {
        self.sigma[s * self.sigma_stride + h]
    }

    /// The weight of sample `s`.
    #[must_use]
    #[inline]
    pub fn weight(&self, s: usize) -> f64 {
        self.weights.map_or(1.0 / self.samples as f64, |(weights, stride)| weights[s * stride])
    }

    /// Whether the samples have their own weights.
    pub(crate) fn is_weighted(&self) -> bool {
        self.weights.is_some()
    }

    /// Whether all samples have the same deviations.
    pub(crate) fn shares_sigma(&self) -> bool {
        self.sigma_stride == 0
    }

    /// The weights `[S]`, normalised to sum to 1 to the last digit. Single-precision weights sum to
    /// 1 only within 1e-7, but a distribution function must end at 1.
    pub(crate) fn normalised_weights(&self) -> Vec<f64> {
        let total: f64 = (0..self.samples).map(|s| self.weight(s)).sum();
        (0..self.samples).map(|s| self.weight(s) / total).collect()
    }

    /// Checks every number of the prediction and of `target [H]`. Errors name `metric`.
    ///
    /// # Errors
    /// Returns an error when the target is not `[H]`, when a mean or target is not finite, when a
    /// sigma is not finite and positive, or when the weights are not a distribution. The error
    /// names the metric, the step and the sample; its window is 0, because only the caller knows
    /// the window.
    pub fn check(&self, metric: &'static str, target: &[f64]) -> Result<(), MetricError> {
        if target.len() != self.horizon {
            let detail = format!(
                "prediction [{}, {}], target [{}]",
                self.samples,
                self.horizon,
                target.len()
            );
            return Err(MetricError::shape(metric, detail));
        }
        let input = |step, sample, quantity, value, expected| {
            Err(MetricError::Input { metric, window: 0, step, sample, quantity, value, expected })
        };
        if self.weights.is_some() {
            let weights: Vec<f64> = (0..self.samples).map(|s| self.weight(s)).collect();
            if let Err((s, value)) = check_weights(&weights) {
                return input(0, s, "weight", value, WEIGHTS_EXPECTED);
            }
        }
        for (h, y) in target.iter().enumerate() {
            if !y.is_finite() {
                return input(h, 0, "target", *y, "a finite number");
            }
            for s in 0..self.samples {
                let (mean, sigma) = (self.mean(s, h), self.sigma(s, h));
                if !mean.is_finite() {
                    return input(h, s, "mean", mean, "a finite number");
                }
                if !(sigma.is_finite() && sigma > 0.0) {
                    return input(h, s, "sigma", sigma, "a finite number above 0");
                }
            }
        }
        Ok(())
    }

    /// Calls `visit(h, mixture)` with the mixture of each step in order. The numbers must have been
    /// checked.
    pub(crate) fn for_each_step(&self, mut visit: impl FnMut(usize, Mixture<'_>)) {
        let weights = self.is_weighted().then(|| self.normalised_weights());
        let shared = self.sigma_stride == 0 || self.samples == 1;
        let mut means = vec![0.0; self.samples];
        let mut sigma = vec![0.0; if shared { 1 } else { self.samples }];
        for h in 0..self.horizon {
            for (s, mean) in means.iter_mut().enumerate() {
                *mean = self.mean(s, h);
            }
            for (s, sigma) in sigma.iter_mut().enumerate() {
                *sigma = self.sigma(s, h);
            }
            let mixture = Mixture::trusted(&means, &sigma, weights.as_deref());
            visit(h, self.floor.map_or(mixture, |floor| mixture.with_floor(floor)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_broadcasts_from_every_admitted_shape() {
        let shape = [2, 3, 2];
        let means: Vec<f64> = (0..12).map(f64::from).collect();
        let sigma: Vec<f64> = (1..=12).map(f64::from).collect();
        // (shape, value at sample 1, window 2, step 1)
        let cases: &[(&[usize], f64)] =
            &[(&[2], 2.0), (&[3, 2], 6.0), (&[1, 3, 2], 6.0), (&[2, 3, 2], 12.0)];
        for &(sigma_shape, want) in cases {
            let count = sigma_shape.iter().product();
            let batch =
                Predictions::new(&means, shape, &sigma[..count], sigma_shape, None).unwrap();
            let window = batch.window(2).unwrap();
            assert_eq!(window.sigma(1, 1), want, "{sigma_shape:?}");
            assert_eq!(window.mean(1, 1), 11.0);
            assert_eq!((window.samples(), window.horizon(), window.weight(0)), (2, 2, 0.5));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused_with_all_of_them() {
        let means = [0.0; 12];
        let sigma = [1.0; 12];
        type Case<'a> = ([usize; 3], &'a [usize], usize, Option<usize>);
        let bad: &[Case<'_>] = &[
            ([2, 3, 2], &[3], 3, None),
            ([2, 3, 2], &[2, 3], 6, None),
            ([2, 3, 2], &[2], 3, None),
            ([2, 2, 2], &[2], 2, None),
            ([0, 3, 2], &[2], 2, None),
            ([2, 3, 2], &[2], 2, Some(5)),
            ([usize::MAX, 2, 2], &[2], 2, None),
        ];
        for &(shape, sigma_shape, count, weights) in bad {
            let weights = weights.map(|n| &sigma[..n]);
            let error = Predictions::new(&means, shape, &sigma[..count], sigma_shape, weights);
            let message = error.unwrap_err().to_string();
            assert!(message.contains(&format!("{shape:?}")), "{message}");
        }
        assert!(WindowPrediction::new(&means, &sigma, None, 0).is_err());
        assert!(WindowPrediction::new(&means, &sigma, None, 5).is_err());
        assert!(WindowPrediction::gaussian(&[], &[]).is_err());
    }

    #[test]
    fn checks_name_the_step_and_the_sample() {
        let means = [0.0, 1.0, 2.0, f64::NAN];
        let window = WindowPrediction::new(&means, &[1.0, 1.0], None, 2).unwrap();
        let message = window.check("crps", &[0.0, 0.0]).unwrap_err().to_string();
        assert_eq!(
            message,
            "crps: window 0, step 1, sample 1: mean is NaN, expected a finite number"
        );
        let fine = [0.0; 4];
        for (sigma, target, weights) in [
            ([1.0, 0.0], [0.0, 0.0], [0.5, 0.5]),
            ([f64::INFINITY, 1.0], [0.0, 0.0], [0.5, 0.5]),
            ([1.0, 1.0], [0.0, f64::INFINITY], [0.5, 0.5]),
            ([1.0, 1.0], [0.0, 0.0], [0.5, 0.6]),
            ([1.0, 1.0], [0.0, 0.0], [1.5, -0.5]),
        ] {
            let window = WindowPrediction::new(&fine, &sigma, Some(&weights), 2).unwrap();
            assert!(window.check("crps", &target).is_err(), "{sigma:?} {target:?} {weights:?}");
        }
        let window = WindowPrediction::new(&fine, &[1.0, 1.0], None, 2).unwrap();
        assert!(window.check("crps", &[0.0]).is_err() && window.check("crps", &[0.0, 1.0]).is_ok());
    }
}
