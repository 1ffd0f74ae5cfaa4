//! A weighted mixture of Gaussians for one scalar: the predictive distribution of one step of the
//! horizon.

use crate::metrics::error::{MetricError, open_probability};
use crate::metrics::floor::{rectified_mean, rectified_variance};
use crate::metrics::folded::table;
use crate::metrics::normal;
use crate::metrics::solver::{Residual, Solver};

/// The mixture over `s` of `Normal(means[s], sigma_s^2)` with weights `w_s`, for one scalar target.
///
/// It borrows its buffers, so a caller can reuse them for other targets.
///
/// ```
/// use vdn_train::metrics::Mixture;
/// let mixture = Mixture::new(&[-1.0, 1.0], &[0.5], None)?;
/// assert_eq!(mixture.mean(), 0.0);
/// assert_eq!(mixture.variance(), 1.25);
/// assert!(mixture.median().abs() < 1e-15);
/// let upper = mixture.quantile(0.9)?;
/// assert!((mixture.cdf(upper) - 0.9).abs() < 1e-12);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Mixture<'a> {
    means: &'a [f64],
    /// One deviation for all components, or one per component.
    sigma: &'a [f64],
    /// The weights, which sum to one; `None` is uniform.
    weights: Option<&'a [f64]>,
    /// The lower limit: values below it count as equal to it.
    floor: Option<f64>,
}

impl<'a> Mixture<'a> {
    /// A mixture of `means [S]` with `sigma` `[1]` (shared) or `[S]`. The weights are `weights [S]`
    /// (non-negative, summing to one within 1e-6) or uniform.
    ///
    /// # Errors
    /// Returns an error when the lengths do not fit, `S = 0`, a mean is not finite, a sigma is not
    /// finite and positive, or the weights are not a distribution.
    pub fn new(
        means: &'a [f64],
        sigma: &'a [f64],
        weights: Option<&'a [f64]>,
    ) -> Result<Self, MetricError> {
        const METRIC: &str = "mixture";
        let samples = means.len();
        let sigma_fits = sigma.len() == 1 || sigma.len() == samples;
        if samples == 0 || !sigma_fits || weights.is_some_and(|w| w.len() != samples) {
            let weights = weights.map_or("none".to_owned(), |w| format!("[{}]", w.len()));
            let detail = format!(
                "means [{samples}], sigma [{}], weights {weights}: expected S > 0 means, 1 or S sigmas, S weights",
                sigma.len()
            );
            return Err(MetricError::shape(METRIC, detail));
        }
        let input = |sample, quantity, value, expected| MetricError::Input {
            metric: METRIC,
            window: 0,
            step: 0,
            sample,
            quantity,
            value,
            expected,
        };
        if let Some(s) = means.iter().position(|m| !m.is_finite()) {
            return Err(input(s, "mean", means[s], "a finite number"));
        }
        if let Some(s) = sigma.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(input(s, "sigma", sigma[s], "a finite number above 0"));
        }
        if let Some(weights) = weights {
            check_weights(weights)
                .map_err(|(s, value)| input(s, "weight", value, WEIGHTS_EXPECTED))?;
        }
        Ok(Self { means, sigma, weights, floor: None })
    }

    /// A mixture whose parts were checked before.
    pub(crate) fn trusted(means: &'a [f64], sigma: &'a [f64], weights: Option<&'a [f64]>) -> Self {
        Self { means, sigma, weights, floor: None }
    }

    /// The distribution of `max(X, floor)` if `X` is distributed as the mixture: the mass below the
    /// limit moves to the limit. `floor` must be finite.
    ///
    /// The mean, variance, quantiles and scores describe the limited quantity. A value at the limit
    /// has the likelihood of the mass there.
    ///
    /// ```
    /// use vdn_train::metrics::Mixture;
    /// let rain = Mixture::new(&[0.0], &[2.0], None)?.with_floor(0.0);
    /// assert_eq!((rain.quantile(0.3)?, rain.cdf(0.0)), (0.0, 0.5));
    /// assert!((rain.mean() - 2.0 * 0.398_942_280_401_432_7).abs() < 1e-15);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    #[must_use]
    pub fn with_floor(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// The limit, if there is one.
    #[must_use]
    pub fn floor(&self) -> Option<f64> {
        self.floor
    }

    /// The mixture of normals without the limit.
    pub(crate) fn without_floor(self) -> Self {
        Self { floor: None, ..self }
    }

    /// The number of components `S`.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.means.len()
    }

    /// The components' means `[S]`.
    #[must_use]
    pub fn means(&self) -> &'a [f64] {
        self.means
    }

    /// The deviation of component `s`.
    #[must_use]
    #[inline]
    pub fn sigma(&self, s: usize) -> f64 {
        if self.sigma.len() == 1 { self.sigma[0] } else { self.sigma[s] }
    }

    /// The deviation that all components share, if there is one.
    #[must_use]
    pub fn shared_sigma(&self) -> Option<f64> {
        (self.sigma.len() == 1).then(|| self.sigma[0])
    }

    /// The weight of component `s`.
    #[must_use]
    #[inline]
    pub fn weight(&self, s: usize) -> f64 {
        self.weights.map_or(1.0 / self.means.len() as f64, |w| w[s])
    }

    /// Whether all weights are `1/S` (none were given).
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.weights.is_none()
    }

    /// `sum_s w_s f(s)`, added in the order of the components. With uniform weights it divides once
    /// at the end.
    #[inline]
    pub(crate) fn average(&self, mut f: impl FnMut(usize) -> f64) -> f64 {
        match self.weights {
            None => (0..self.means.len()).map(f).sum::<f64>() / self.means.len() as f64,
            Some(weights) => weights.iter().enumerate().map(|(s, w)| w * f(s)).sum(),
        }
    }

    /// The mean, `sum_s w_s m_s`. With a limit, `m_s` are the means of the limited components.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.average(|s| self.component_mean(s))
    }

    /// The variance, `sum_s w_s (sigma_s^2 + (m_s - mean)^2)`, in the centred form, which avoids
    /// cancellation.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let own = |s: usize| match self.floor {
            Some(floor) => rectified_variance(self.means[s], self.sigma(s), floor),
            None => self.sigma(s).powi(2),
        };
        self.average(|s| own(s) + (self.component_mean(s) - mean).powi(2))
    }

    fn component_mean(&self, s: usize) -> f64 {
        match self.floor {
            Some(floor) => rectified_mean(self.means[s], self.sigma(s), floor),
            None => self.means[s],
        }
    }

    /// The standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// `P(Y <= y)`, with relative accuracy in the lower tail.
    #[must_use]
    pub fn cdf(&self, y: f64) -> f64 {
        if self.floor.is_some_and(|floor| y < floor) {
            return 0.0;
        }
        self.average(|s| normal::cdf((y - self.means[s]) / self.sigma(s))).min(1.0)
    }

    /// The density at `y`. For a limited quantity, `y` must be above the limit.
    #[must_use]
    pub fn pdf(&self, y: f64) -> f64 {
        self.average(|s| normal::pdf((y - self.means[s]) / self.sigma(s)) / self.sigma(s))
    }

    /// The natural logarithm of the density at `y`, computed by log-sum-exp so that it stays finite
    /// far out in the tails. At the limit it is the logarithm of the mass there.
    #[must_use]
    pub fn ln_pdf(&self, y: f64) -> f64 {
        let mut terms = LogMeanExp::default();
        for s in 0..self.samples() {
            terms.add(self.component_ln_pdf(s, y), self.weight(s));
        }
        terms.value()
    }

    /// The natural logarithm of component `s`'s density at `y`, or of its mass at the limit.
    #[inline]
    pub(crate) fn component_ln_pdf(&self, s: usize, y: f64) -> f64 {
        let sigma = self.sigma(s);
        if let Some(floor) = self.floor.filter(|floor| y <= *floor) {
            return normal::ln_cdf((floor - self.means[s]) / sigma);
        }
        normal::ln_pdf((y - self.means[s]) / sigma) - sigma.ln()
    }

    /// The median: the quantile at 1/2.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile_at(0.5, 0.0)
    }

    /// The quantile at `tau` in (0, 1), the point `q` with `cdf(q) = tau`.
    ///
    /// The root is between the smallest and the largest quantile of the components. Halley steps,
    /// kept inside a shrinking bracket by bisection, run first on a tabulated distribution
    /// function. If the density at the result is so small that the table's absolute error (1e-15)
    /// could matter, they are repeated on a sum whose terms keep their relative accuracy in both
    /// tails.
    ///
    /// The result is accurate to about 1e-11 of the smallest deviation, or to the spacing of
    /// doubles near it. If the distribution function is flat to the last bit (components more than
    /// 38 deviations apart), every point of the flat piece is a quantile, and the first one that is
    /// found is returned. `S = 1` uses the closed form.
    ///
    /// # Errors
    /// Returns an error when `tau` is not strictly between 0 and 1.
    pub fn quantile(&self, tau: f64) -> Result<f64, MetricError> {
        let tau = open_probability("mixture quantile", "tau", tau)?;
        Ok(self.quantile_at(tau, normal::quantile(tau)))
    }

    /// Like [`Mixture::quantile`], with the standard normal quantile `z` of `tau`.
    fn quantile_at(&self, tau: f64, z: f64) -> f64 {
        let mut quantile = [0.0];
        self.quantiles_at(&[(tau, z)], &mut quantile);
        quantile[0]
    }

    /// The quantiles at `levels`, pairs of a level and its standard normal quantile in ascending
    /// order. Each search starts from the quantile of the moment-matched Gaussian, corrected by the
    /// error of this guess at the previous level.
    pub(crate) fn quantiles_at(&self, levels: &[(f64, f64)], quantiles: &mut [f64]) {
        if let Some(floor) = self.floor {
            self.without_floor().quantiles_at(levels, quantiles);
            quantiles.iter_mut().for_each(|quantile| *quantile = quantile.max(floor));
            return;
        }
        let (mean, deviation) = (self.mean(), self.deviation());
        let used = || (0..self.samples()).filter(|&s| self.weight(s) > 0.0);
        let narrowest = used().map(|s| self.sigma(s)).fold(f64::INFINITY, f64::min);
        let mut correction = 0.0;
        for ((tau, z), quantile) in levels.iter().zip(quantiles) {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for own in used().map(|s| self.means[s] + self.sigma(s) * z) {
                low = low.min(own);
                high = high.max(own);
            }
            if low == high {
                *quantile = low;
                continue;
            }
            let guess = mean + deviation * z;
            let near = guess + correction;
            let start = if near > low && near < high { near } else { 0.5 * (low + high) };
            let solver = Solver { low, high, start, narrowest };
            let (root, density) = solver.solve(|x| self.tabulated_residual(x, *tau));
            *quantile = if density * narrowest > 1e-4 {
                root
            } else {
                solver.solve(|x| self.exact_residual(x, *tau)).0
            };
            correction = *quantile - guess;
        }
    }

    /// The PIT value of `y`: `cdf(y)` with an absolute error of about 1e-15. For a value at the
    /// limit it is half of the mass there: the expected value of a random choice inside the mass.
    pub(crate) fn pit(&self, y: f64) -> f64 {
        let table = table();
        let at_floor = self.floor.filter(|floor| y <= *floor);
        if let Some(floor) = at_floor {
            return 0.5 * self.without_floor().pit(floor);
        }
        self.average(|s| table.cdf_pdf((y - self.means[s]) / self.sigma(s)).0).clamp(0.0, 1.0)
    }

    fn tabulated_residual(&self, x: f64, tau: f64) -> Residual {
        let table = table();
        let shared = self.shared_sigma().map(|sigma| 1.0 / sigma);
        let (mut cdf, mut density, mut slope) = (0.0, 0.0, 0.0);
        for s in 0..self.samples() {
            let inverse = shared.unwrap_or_else(|| 1.0 / self.sigma[s]);
            let weight = self.weights.map_or(1.0, |w| w[s]);
            let z = (x - self.means[s]) * inverse;
            let (below, at) = table.cdf_pdf(z);
            let part = weight * at * inverse;
            cdf += weight * below;
            density += part;
            slope -= part * z * inverse;
        }
        let total = self.weights.map_or(self.samples() as f64, |_| 1.0);
        Residual { value: cdf / total - tau, density: density / total, slope: slope / total }
    }

    /// `cdf(x) - tau` as (lower tails) - (upper tails) + (mass left of x - tau). No term loses
    /// relative accuracy.
    fn exact_residual(&self, x: f64, tau: f64) -> Residual {
        let (mut tails, mut mass, mut density, mut slope) = (0.0, 0.0, 0.0, 0.0);
        for s in 0..self.samples() {
            let (sigma, weight) = (self.sigma(s), self.weight(s));
            let z = (x - self.means[s]) / sigma;
            tails -= weight * normal::cdf(-z.abs()).copysign(z);
            if z >= 0.0 {
                mass += weight;
            }
            let part = weight * normal::pdf(z) / sigma;
            density += part;
            slope -= part * z / sigma;
        }
        Residual { value: tails + (mass - tau), density, slope }
    }
}

/// The requirement on the weights of a mixture.
pub(crate) const WEIGHTS_EXPECTED: &str = "non-negative weights summing to 1 (within 1e-6)";

/// Accepts non-negative weights that sum to one within 1e-6 (single-precision softmax). Otherwise
/// returns the first invalid index and value; for an invalid sum, index 0 and the sum.
pub(crate) fn check_weights(weights: &[f64]) -> Result<(), (usize, f64)> {
    if let Some(s) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err((s, weights[s]));
    }
    let sum: f64 = weights.iter().sum();
    if (sum - 1.0).abs() <= 1e-6 { Ok(()) } else { Err((0, sum)) }
}

/// `ln sum_i w_i exp(a_i)`, one term at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogMeanExp {
    largest: f64,
    sum: f64,
}

impl Default for LogMeanExp {
    fn default() -> Self {
        Self { largest: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogMeanExp {
    /// Adds the term `weight * exp(exponent)`.
    #[inline]
    pub(crate) fn add(&mut self, exponent: f64, weight: f64) {
        if weight == 0.0 {
            return;
        }
        if exponent > self.largest {
            self.sum = self.sum * (self.largest - exponent).exp() + weight;
            self.largest = exponent;
        } else if exponent > f64::NEG_INFINITY {
            self.sum += weight * (exponent - self.largest).exp();
        } else if exponent.is_nan() {
            self.sum = f64::NAN;
        }
    }

    /// The logarithm of the sum; minus infinity if every term is 0.
    pub(crate) fn value(&self) -> f64 {
        self.largest + self.sum.ln()
    }
}
