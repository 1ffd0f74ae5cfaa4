//! Pooling the `K` values of a unit to one activity.

use super::map::scale_assign;
use super::reduce::{expand_axis, sum_axis};
use crate::Element;

/// How the `K` values of a unit become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Pool {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by `sqrt(K)`: the variance of independent values of equal variance is kept.
    #[cfg_attr(feature = "serde", serde(rename = "sum_sqrtk"))]
    SumSqrtK,
}

impl Pool {
    /// What the sum of `k` values is multiplied by.
    #[must_use]
    pub fn factor(self, k: usize) -> f64 {
        match self {
            Self::Mean => 1.0 / k as f64,
            Self::Sum => 1.0,
            Self::SumSqrtK => 1.0 / (k as f64).sqrt(),
        }
    }
}

/// Pools `x`, `[rows, units * k]` with the `k` values of a unit side by side, to `out`, `[rows, units]`.
///
/// ```
/// use vdn_tensor::kernels::{Pool, pool};
/// let mut out = [0.0_f32; 2];
/// pool(&[1.0, 3.0, 5.0, 9.0], 2, Pool::Mean, &mut out);
/// assert_eq!(out, [2.0, 7.0]);
/// ```
///
/// # Panics
/// `x` does not have `k` numbers for each of `out`.
pub fn pool<T: Element>(x: &[T], k: usize, pool: Pool, out: &mut [T]) {
    sum_axis(x, (out.len(), k, 1), out);
    if pool != Pool::Sum {
        scale_assign(out, T::from_f64(pool.factor(k)));
    }
}

/// The adjoint of [`pool`](fn@pool).
///
/// # Panics
/// `dx` does not have `k` numbers for each of `d_out`.
pub fn pool_backward<T: Element>(d_out: &[T], k: usize, pool: Pool, dx: &mut [T]) {
    expand_axis(d_out, (d_out.len(), k, 1), T::from_f64(pool.factor(k)), dx);
}
