//! [`Persistence`]: the part of a unit's sample that its own past explains.
//!
//! ```text
//! rho = [Cov(mu_t, mu_{t-1}) + E Cov_q(z_t, z_{t-1})] / [Var mu + V]
//! rate given the past = [ln(C2 (1 - r^2) + V) - Lv]/2        r = correlation of mu_t and mu_{t-1}
//! ```
//!
//! For `rho`, both steps need their own inputs: windows that share rows agree by construction.
//!
//! The second measure is the information about the input that a unit gives to an observer who knows
//! its earlier mean. It is the rate without the part of the means' variance that a linear function
//! of the earlier means explains.

use vdn_tensor::Element;

/// Moments of pairs of posteriors, each of one step and the step before it, for each latent
/// dimension; in double precision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Persistence {
    pairs: usize,
    /// Means, at the step and before it.
    mean: [Vec<f64>; 2],
    /// Sums of squared deviations of the means, at the step and before it.
    squares: [Vec<f64>; 2],
    /// Sums of products of these deviations.
    products: Vec<f64>,
    /// Sums of variances, at the step and before it.
    variance: [Vec<f64>; 2],
    /// Sums of log-variances at the step.
    logvar: Vec<f64>,
    /// Sums of the posteriors' covariances.
    covariance: Vec<f64>,
}

impl Persistence {
    /// Creates the moments of this many latent dimensions, without pairs.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        let zero = || vec![0.0; dims];
        let both = || [zero(), zero()];
        Self {
            pairs: 0,
            mean: both(),
            squares: both(),
            products: zero(),
            variance: both(),
            logvar: zero(),
            covariance: zero(),
        }
    }

    /// Adds a pair: means and log-variances at a step and before it, and the covariance of the two
    /// samples given all inputs (empty if they are drawn independently). Each slice is `[dims]`.
    ///
    /// # Panics
    /// Panics if the slices belong to another layer.
    pub fn push<T: Element>(&mut self, mu: [&[T]; 2], logvar: [&[T]; 2], covariance: &[T]) {
        let dims = self.products.len();
        for of in mu.iter().chain(&logvar) {
            assert_eq!(of.len(), dims, "posteriors of another layer");
        }
        self.pairs += 1;
        let share = 1.0 / self.pairs as f64;
        for i in 0..dims {
            let now = [mu[0][i].to_f64(), mu[1][i].to_f64()];
            let delta = [now[0] - self.mean[0][i], now[1] - self.mean[1][i]];
            for side in 0..2 {
                self.mean[side][i] += share * delta[side];
                self.squares[side][i] += delta[side] * (now[side] - self.mean[side][i]);
                self.variance[side][i] += logvar[side][i].to_f64().exp();
            }
            self.products[i] += delta[0] * (now[1] - self.mean[1][i]);
            self.logvar[i] += logvar[0][i].to_f64();
            if let Some(c) = covariance.get(i) {
                self.covariance[i] += c.to_f64();
            }
        }
    }

    /// Returns the number of pairs.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Returns the autocorrelation `rho` of each latent dimension's sample; NaN without pairs. `Var
    /// mu + V` is the mean over both steps.
    ///
    /// ```
    /// use vdn_model::diagnostics::Persistence;
    /// let mut pairs = Persistence::new(1);
    /// for mu in [-1.0, 1.0] {
    ///     pairs.push([&[mu], &[mu]], [&[0.0], &[0.0]], &[]);
    /// }
    /// assert_eq!(pairs.rho(), [0.5]);               // Var mu = 1, V = 1
    /// ```
    #[must_use]
    pub fn rho(&self) -> Vec<f64> {
        let rho = |i: usize| {
            let sum = |of: &[Vec<f64>; 2]| 0.5 * (of[0][i] + of[1][i]);
            (self.products[i] + self.covariance[i]) / (sum(&self.squares) + sum(&self.variance))
        };
        (0..self.products.len()).map(rho).collect()
    }

    /// Returns the rate of each latent dimension that is left when its earlier mean is known, in
    /// nats; NaN without pairs.
    #[must_use]
    pub fn rate_given_past(&self) -> Vec<f64> {
        let n = self.pairs as f64;
        let rate = |i: usize| {
            let explained = match self.squares[1][i] {
                before if before > 0.0 => self.products[i].powi(2) / before,
                _ => 0.0,
            };
            let left = (self.squares[0][i] - explained).max(0.0);
            0.5 * (((left + self.variance[0][i]) / n).ln() - self.logvar[i] / n)
        };
        (0..self.products.len()).map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_tensor::noise::NoiseKey;

    #[test]
    fn a_process_of_known_autocorrelation_is_recovered() {
        // Means follow an AR(1) with 0.8 and variance 1; deviation 0.5, samples independent given
        // them.
        let n = 40_000;
        let mut noise = vec![0.0; n];
        NoiseKey::new(2, 0, 0).fill_normal(0, &mut noise);
        let mut pairs = Persistence::new(1);
        let (mut mu, logvar) = (noise[0], [0.25_f64.ln()]);
        for eps in &noise[1..] {
            let next = 0.8 * mu + 0.6 * eps;
            pairs.push([&[next], &[mu]], [&logvar, &logvar], &[]);
            mu = next;
        }
        // Standard error of an autocorrelation over n pairs of an AR(1): sqrt((1 - 0.64)/n) =
        // 0.003; four of them.
        assert!((pairs.rho()[0] - 0.8 / 1.25).abs() < 0.012, "{:?}", pairs.rho());
        let left = 0.5 * ((0.36_f64 + 0.25) / 0.25).ln();
        assert!((pairs.rate_given_past()[0] - left).abs() < 0.01, "{:?}", pairs.rate_given_past());
    }

    #[test]
    fn the_past_that_says_all_leaves_nothing_and_covariances_count() {
        let mut pairs = Persistence::new(2);
        for mu in [-1.0_f64, 0.0, 2.0] {
            let now = [0.9 * mu + 0.3, 1.0];
            pairs.push([&now, &[mu, mu]], [&[-1.0, -1.0]; 2], &[0.1, 0.0]);
        }
        let left = pairs.rate_given_past();
        assert!(left.iter().all(|rate| rate.abs() < 1e-12), "{left:?}");
        // Var mu now is 0.81 of that before, the covariance 0.9: sums over three pairs, of squares
        // 14/3.
        let (s, v) = (14.0 / 3.0, 3.0 * (-1.0_f64).exp());
        let rho = (0.9 * s + 0.3) / (0.5 * (0.81 * s + s) + v);
        assert!((pairs.rho()[0] - rho).abs() < 1e-12, "{:?} {rho}", pairs.rho());
        assert_eq!(pairs.rho()[1], 0.0);
    }
}
