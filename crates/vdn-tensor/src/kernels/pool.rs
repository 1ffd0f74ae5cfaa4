//! Pooling of the `K` values of a unit into one activity.

use super::map::scale_assign;
use super::reduce::{expand_axis, sum_axis};
use crate::Element;

/// The rule by which the `K` values of a unit become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Pool {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by `sqrt(K)`, which keeps the variance of independent values of equal
    /// variance.
    #[cfg_attr(feature = "serde", serde(rename = "sum_sqrtk"))]
    SumSqrtK,
}

impl Pool {
    /// Returns the factor on the sum of `k` values.
    #[must_use]
    pub fn factor(self, k: usize) -> f64 {
        match self {
            Self::Mean => 1.0 / k as f64,
            Self::Sum => 1.0,
            Self::SumSqrtK => 1.0 / (k as f64).sqrt(),
        }
    }
}

/// Pools `x`, `[rows, units * k]` with the `k` values of each unit next to each other, to `out`,
/// `[rows, units]`.
///
/// ```
/// use vdn_tensor::kernels::{Pool, pool};
/// let mut out = [0.0_f32; 2];
/// pool(&[1.0, 3.0, 5.0, 9.0], 2, Pool::Mean, &mut out);
/// assert_eq!(out, [2.0, 7.0]);
/// ```
///
/// # Panics
/// Panics if `x` does not have `k` numbers for each number of `out`.
pub fn pool<T: Element>(x: &[T], k: usize, pool: Pool, out: &mut [T]) {
    sum_axis(x, (out.len(), k, 1), out);
    if pool != Pool::Sum {
        scale_assign(out, T::from_f64(pool.factor(k)));
    }
}

/// Computes the adjoint of [`pool`](fn@pool).
///
/// # Panics
/// Panics if `dx` does not have `k` numbers for each number of `d_out`.
pub fn pool_backward<T: Element>(d_out: &[T], k: usize, pool: Pool, dx: &mut [T]) {
    expand_axis(d_out, (d_out.len(), k, 1), T::from_f64(pool.factor(k)), dx);
}
