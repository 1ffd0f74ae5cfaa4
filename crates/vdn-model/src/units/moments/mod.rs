//! Inference without samples: means and covariances pass through a stack and through the head in
//! closed form.
//!
//! These steps are exact:
//!
//! * every affine map;
//! * a layer's own noise, `Cov z = Cov mu + E diag sigma^2`, because the noise has mean 0 and is
//!   independent of the context;
//! * mean and variance of the GELU of a normal variable ([`gelu_moments`]);
//! * residuals, `Cov(g(x), x) = E g'(x) Var x`.
//!
//! So the first layer, and any affine function of it, is exact for every family. For normal units
//! without layer normalisation, the mean of the second layer is exact, too, and so is its
//! covariance if deviations are parameters.
//!
//! The other steps are approximate, because a layer above the first is no longer normal:
//!
//! * Each activity is treated as normal with its own moments. Before a GELU, units of other
//!   families are treated in the same way.
//! * Covariances of GELUs are the first two terms of their series in the covariance.
//! * The logarithm of a deviation that depends on its input is treated as normal.
//! * Layer normalisation, in the layers of a stack and in the head, is expanded around the expected
//!   variance over the layer.
//! * The head's gate and the value that it multiplies are treated as jointly normal
//!   ([`gated_moments`]).

mod covariance;
mod dense;
mod gate;
mod gelu;
mod norm;
mod propagate;
mod quadrature;

pub use covariance::{Covariance, Side, scaled_columns};
pub use dense::{cast, in_parallel, times, times_transposed, wide};
pub use gate::{GatedMoments, gated_moments};
pub use gelu::{GeluMoments, gelu_moments};
pub use norm::NormMoments;
pub use propagate::numbers;

use vdn_tensor::Element;

/// The mean and the covariance of activities, in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The means, `[n]`.
    pub mean: Vec<f64>,
    /// The covariances.
    pub covariance: Covariance,
}

impl Moments {
    /// Creates the moments of known values.
    #[must_use]
    pub fn certain(values: &[f64]) -> Self {
        Self::independent(values.to_vec(), vec![0.0; values.len()])
    }

    /// Creates the moments of independent activities with these variances.
    ///
    /// # Panics
    /// Panics if the numbers of means and variances differ.
    #[must_use]
    pub fn independent(mean: Vec<f64>, variances: Vec<f64>) -> Self {
        assert_eq!(mean.len(), variances.len(), "variances of other activities");
        Self { mean, covariance: Covariance::Diagonal(variances) }
    }

    /// Creates the moments of activities with the covariance `[n, n]`.
    ///
    /// # Panics
    /// Panics if the covariance is of another number of activities.
    #[must_use]
    pub fn joint(mean: Vec<f64>, covariance: Vec<f64>) -> Self {
        assert_eq!(mean.len().pow(2), covariance.len(), "the covariance of other activities");
        Self { mean, covariance: Covariance::Full(covariance) }
    }

    /// Returns the number of activities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Returns whether there are no activities.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// Returns the variance of activity `i`.
    ///
    /// # Panics
    /// Panics if there is no such activity.
    #[must_use]
    pub fn variance(&self, i: usize) -> f64 {
        self.covariance(i, i)
    }

    /// Returns the covariance of activities `i` and `j`.
    ///
    /// # Panics
    /// Panics if there are no such activities.
    #[must_use]
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        self.covariance.entry([i, j], self.len())
    }

    /// Returns the moments of `W x + b` for a `weight` `[outputs, n]`: `W m + b` and `W C W^T`,
    /// exact for any distribution. Known values stay known.
    ///
    /// ```
    /// use vdn_model::units::moments::Moments;
    /// let x = Moments::joint(vec![1.0, 2.0], vec![1.0, 0.5, 0.5, 4.0]);
    /// let y = x.affine(&[1.0, -1.0], &[10.0]);
    /// assert_eq!((y.mean[0], y.variance(0)), (9.0, 1.0 - 2.0 * 0.5 + 4.0));
    /// ```
    ///
    /// # Panics
    /// Panics if the shapes do not match.
    #[must_use]
    pub fn affine(&self, weight: &[f64], bias: &[f64]) -> Self {
        let map = Affine { weight, bias };
        map.through(std::slice::from_ref(self)).remove(0)
    }

    /// Returns the moments of the exact GELU of each activity; activities are treated as jointly
    /// normal. Means and variances are exact. Covariances are the first two terms of
    /// `Cov(g(x), g(y)) = sum_k c^k/k! E g^(k)(x) E g^(k)(y)`, with `c = Cov(x, y)`.
    #[must_use]
    pub fn gelu(&self) -> Self {
        self.gelu_with_slopes().0
    }

    /// Returns [`Moments::gelu`] and the mean slope of each activity:
    /// `Cov(g(x_i), x_j) = slope_i Cov(x_i, x_j)`.
    fn gelu_with_slopes(&self) -> (Self, Vec<f64>) {
        let n = self.len();
        let variances = self.covariance.diagonal(n);
        let all: Vec<GeluMoments> = self
            .mean
            .iter()
            .zip(variances)
            .map(|(&mean, variance)| gelu_moments(mean, not_negative(variance)))
            .collect();
        let mean = all.iter().map(|g| g.mean).collect();
        let slopes = all.iter().map(|g| g.slope).collect();
        let covariance = match &self.covariance {
            Covariance::Diagonal(_) => {
                Covariance::Diagonal(all.iter().map(|g| g.variance).collect())
            }
            Covariance::Full(below) => {
                let mut covariance = vec![0.0; n * n];
                for i in 0..n {
                    for j in 0..n {
                        let c = below[i * n + j];
                        covariance[i * n + j] = match i == j {
                            true => all[i].variance,
                            false => {
                                let first = c * all[i].slope * all[j].slope;
                                0.5f64.mul_add(c * c * all[i].curvature * all[j].curvature, first)
                            }
                        };
                    }
                }
                Covariance::Full(covariance)
            }
        };
        (Self { mean, covariance }, slopes)
    }
}

/// Rounding may leave a variance of 0 slightly below 0; it becomes 0. NaN stays.
pub fn not_negative(variance: f64) -> f64 {
    if variance < 0.0 { 0.0 } else { variance }
}

/// An affine map `W x + b` with `weight` `[outputs, inputs]` and `bias` `[outputs]`.
#[derive(Clone, Copy, Debug)]
struct Affine<'a, T> {
    weight: &'a [T],
    bias: &'a [T],
}

impl<T: Element> Affine<'_, T> {
    fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// Returns the means of `W x + b` for all moments, with one product.
    fn means(&self, all: &[Moments]) -> Vec<Vec<f64>> {
        let inputs = self.inputs();
        assert!(all.iter().all(|x| x.len() == inputs), "a weight for other moments");
        let stacked: Vec<f64> = all.iter().flat_map(|x| x.mean.iter().copied()).collect();
        let product = wide(&times_transposed(&cast::<T>(&stacked), self.weight, inputs));
        let rows = product.chunks_exact(self.bias.len());
        rows.map(|row| row.iter().zip(self.bias).map(|(x, b)| x + b.to_f64()).collect()).collect()
    }

    /// Returns the moments of `W x + b`.
    fn through(&self, all: &[Moments]) -> Vec<Moments> {
        let n = self.inputs();
        let map = Side::Map(self.weight);
        let covariance = |x: &Moments| match x.covariance.is_zero() {
            true => Covariance::Diagonal(vec![0.0; self.bias.len()]),
            false => x.covariance.between(map, [n, n], map),
        };
        let means = self.means(all).into_iter();
        means.zip(all).map(|(mean, x)| Moments { mean, covariance: covariance(x) }).collect()
    }

    /// Returns the variances of `W x + b` alone.
    fn variances(&self, all: &[Moments]) -> Vec<Vec<f64>> {
        let n = self.inputs();
        let of = |x: &Moments| {
            if x.covariance.is_zero() {
                return vec![0.0; self.bias.len()];
            }
            let half = x.covariance.between(Side::Map(self.weight), [n, n], Side::<T>::Same);
            let half = half.into_full();
            let rows = half.chunks_exact(n).zip(self.weight.chunks_exact(n));
            rows.map(|(c, w)| c.iter().zip(w).map(|(c, w)| c * w.to_f64()).sum()).collect()
        };
        all.iter().map(of).collect()
    }
}
