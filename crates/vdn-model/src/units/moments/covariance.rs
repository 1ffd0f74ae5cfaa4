//! [`Covariance`]: the covariance of activities, diagonal or full, and its products with linear
//! maps.

use crate::units::moments::dense::{cast, times, times_transposed, wide};
use vdn_tensor::Element;

/// The covariance of activities, or the covariance between two sets of activities.
#[derive(Clone, Debug, PartialEq)]
pub enum Covariance {
    /// A diagonal covariance of independent activities: the variances, `[n]`.
    Diagonal(Vec<f64>),
    /// A full covariance, row by row, `[n, m]`.
    Full(Vec<f64>),
}

/// The matrix on one side of a covariance in a product.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a, T> {
    /// The identity.
    Same,
    /// A map `[outputs, n]`.
    Map(&'a [T]),
}

impl Covariance {
    /// Returns the entry in row `i` and column `j` of a covariance with `columns` columns.
    pub fn entry(&self, [i, j]: [usize; 2], columns: usize) -> f64 {
        match self {
            Self::Diagonal(variances) if i == j => variances[i],
            Self::Diagonal(_) => 0.0,
            Self::Full(all) => all[i * columns + j],
        }
    }

    /// Returns the diagonal of a covariance of `n` activities.
    pub fn diagonal(&self, n: usize) -> Vec<f64> {
        match self {
            Self::Diagonal(variances) => variances.clone(),
            Self::Full(all) => all.iter().step_by(n + 1).copied().collect(),
        }
    }

    /// Returns whether the activities are certain.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Diagonal(variances) if variances.iter().all(|&v| v == 0.0))
    }

    /// Returns the product with a vector.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Diagonal(variances) => variances.iter().zip(x).map(|(v, x)| v * x).collect(),
            Self::Full(all) => all
                .chunks_exact(x.len())
                .map(|row| row.iter().zip(x).map(|(c, x)| c * x).sum())
                .collect(),
        }
    }

    /// Multiplies row `i` by `factors[i]`.
    pub fn scale_rows(&mut self, factors: &[f64]) {
        match self {
            Self::Diagonal(variances) => {
                variances.iter_mut().zip(factors).for_each(|(v, f)| *v *= f)
            }
            Self::Full(all) => {
                let columns = all.len() / factors.len();
                for (row, f) in all.chunks_exact_mut(columns).zip(factors) {
                    row.iter_mut().for_each(|c| *c *= f);
                }
            }
        }
    }

    /// Returns the full covariance, `[n, n]`.
    pub fn into_full(self) -> Vec<f64> {
        match self {
            Self::Full(all) => all,
            Self::Diagonal(variances) => {
                let n = variances.len();
                let mut all = vec![0.0; n * n];
                all.iter_mut().step_by(n + 1).zip(variances).for_each(|(c, v)| *c = v);
                all
            }
        }
    }

    /// Returns the sum of two covariances of the same activities.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Diagonal(mut a), Self::Diagonal(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                Self::Diagonal(a)
            }
            (a, b) => {
                let (mut a, b) = (a.into_full(), b.into_full());
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                Self::Full(a)
            }
        }
    }

    /// Returns `X + X^T` for a covariance `X` `[n, n]` between two sets of activities.
    pub fn with_transpose(self, n: usize) -> Self {
        match self {
            Self::Diagonal(x) => Self::Diagonal(x.into_iter().map(|x| 2.0 * x).collect()),
            Self::Full(mut all) => {
                for i in 0..n {
                    for j in 0..=i {
                        let sum = all[i * n + j] + all[j * n + i];
                        (all[i * n + j], all[j * n + i]) = (sum, sum);
                    }
                }
                Self::Full(all)
            }
        }
    }

    /// Returns `L C R^T`, where `C` is `self`, `[n, m]`. Products have the precision of the maps.
    pub fn between<T: Element>(
        &self,
        left: Side<'_, T>,
        [n, m]: [usize; 2],
        right: Side<'_, T>,
    ) -> Self {
        Self::Full(match (self, left, right) {
            (_, Side::Same, Side::Same) => return self.clone(),
            (Self::Diagonal(variances), Side::Map(left), Side::Same) => {
                wide(&scaled_columns(left, variances))
            }
            (Self::Diagonal(variances), Side::Same, Side::Map(right)) => {
                let transposed = scaled_columns(right, variances);
                let outputs = right.len() / m;
                let at = |i: usize, o: usize| transposed[o * m + i].to_f64();
                (0..n).flat_map(|i| (0..outputs).map(move |o| at(i, o))).collect()
            }
            (Self::Diagonal(variances), Side::Map(left), Side::Map(right)) => {
                wide(&times_transposed(&scaled_columns(left, variances), right, m))
            }
            (Self::Full(all), left, right) => {
                let mut product: Vec<T> = cast(all);
                if let Side::Map(left) = left {
                    product = times(left, &product, n);
                }
                if let Side::Map(right) = right {
                    product = times_transposed(&product, right, m);
                }
                wide(&product)
            }
        })
    }
}

/// Returns a map with column `j` multiplied by `factors[j]`.
pub fn scaled_columns<T: Element>(map: &[T], factors: &[f64]) -> Vec<T> {
    let factors: Vec<T> = cast(factors);
    let mut scaled = map.to_vec();
    for row in scaled.chunks_exact_mut(factors.len()) {
        row.iter_mut().zip(&factors).for_each(|(w, &f)| *w *= f);
    }
    scaled
}
