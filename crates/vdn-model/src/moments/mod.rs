//! Inference without samples: means and covariances carried through a stack in closed form.
//!
//! Exact: every affine map; a layer's own noise, `Cov z = Cov mu + E diag sigma^2`, because the noise has mean 0 and is
//! independent of the context; mean and variance of the GELU of a normal variable ([`gelu_moments`]). So the first layer and
//! any affine function of it are exact, the mean of the second too, and its covariance where deviations are parameters.
//! Approximate, because a layer above the first is no longer normal: each activity is taken as normal with the moments that
//! it has, covariances of GELUs are the first two terms of their series in the covariance, and the logarithm of a deviation
//! that depends on its input is taken as normal.

mod gelu;
mod propagate;

pub use gelu::{GeluMoments, gelu_moments};

/// Mean and covariance of some activities, in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The means, `[n]`.
    pub mean: Vec<f64>,
    /// The covariances, `[n, n]`.
    pub covariance: Vec<f64>,
}

impl Moments {
    /// Of what is known.
    #[must_use]
    pub fn certain(values: &[f64]) -> Self {
        Self { mean: values.to_vec(), covariance: vec![0.0; values.len() * values.len()] }
    }

    /// The number of activities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// The variance of activity `i`.
    ///
    /// # Panics
    /// There is no such activity.
    #[must_use]
    pub fn variance(&self, i: usize) -> f64 {
        self.covariance[i * self.len() + i]
    }

    /// The moments of `W x + b`, `weight` `[outputs, n]`: `W m + b` and `W C W^T`, exact whatever the distribution.
    ///
    /// ```
    /// use vdn_model::moments::Moments;
    /// let x = Moments { mean: vec![1.0, 2.0], covariance: vec![1.0, 0.5, 0.5, 4.0] };
    /// let y = x.affine(&[1.0, -1.0], &[10.0]);
    /// assert_eq!((y.mean[0], y.variance(0)), (9.0, 1.0 - 2.0 * 0.5 + 4.0));
    /// ```
    ///
    /// # Panics
    /// The shapes do not fit.
    #[must_use]
    pub fn affine(&self, weight: &[f64], bias: &[f64]) -> Self {
        let (n, outputs) = (self.len(), bias.len());
        assert_eq!(weight.len(), n * outputs, "a weight for other moments");
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let row = |o: usize| &weight[o * n..][..n];
        let mean = (0..outputs).map(|o| bias[o] + dot(row(o), &self.mean)).collect();
        let mut half = vec![0.0; outputs * n];
        for o in 0..outputs {
            for j in 0..n {
                // The covariance is symmetric: its rows are its columns.
                half[o * n + j] = dot(row(o), &self.covariance[j * n..][..n]);
            }
        }
        let mut covariance = vec![0.0; outputs * outputs];
        for a in 0..outputs {
            for b in 0..=a {
                let c = dot(&half[a * n..][..n], row(b));
                covariance[a * outputs + b] = c;
                covariance[b * outputs + a] = c;
            }
        }
        Self { mean, covariance }
    }

    /// The moments of the exact GELU of each activity, taken as jointly normal: means and variances exact, covariances by
    /// the first two terms of `Cov(g(x), g(y)) = sum_k c^k/k! E g^(k)(x) E g^(k)(y)`, `c = Cov(x, y)`.
    #[must_use]
    pub fn gelu(&self) -> Self {
        let n = self.len();
        // Rounding may leave a variance of nothing slightly below 0.
        let all: Vec<GeluMoments> =
            (0..n).map(|i| gelu_moments(self.mean[i], self.variance(i).max(0.0))).collect();
        let mut covariance = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let c = self.covariance[i * n + j];
                covariance[i * n + j] = match i == j {
                    true => all[i].variance,
                    false => {
                        let first = c * all[i].slope * all[j].slope;
                        0.5f64.mul_add(c * c * all[i].curvature * all[j].curvature, first)
                    }
                };
            }
        }
        Self { mean: all.iter().map(|g| g.mean).collect(), covariance }
    }
}
