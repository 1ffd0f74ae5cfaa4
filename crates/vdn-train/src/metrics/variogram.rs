//! The variogram score: it measures whether the steps of a forecast move together like the truth.
//!
//! It has the order `p = 1/2` and weights that fall with the distance of two steps (Scheuerer and
//! Hamill 2015):
//!
//! ```text
//! VS(F, y) = sum_{i != j} 1/|i - j| ( |y_i - y_j|^p - E|Y_i - Y_j|^p )^2
//! ```
//!
//! The score is proper but not strictly proper: a common shift of all steps changes nothing. The
//! expectation is the mean over the paths, which adds about `Var|Y_i - Y_j|^p / n` to each term, so
//! compare scores at equal `n`.

use crate::metrics::error::MetricError;
use crate::metrics::paths::Paths;

/// The variogram score of order 1/2 of `target [H]` under the paths; `O(n H^2)`. Its unit is that
/// of the target.
///
/// ```
/// use vdn_train::metrics::{Paths, variogram_score};
/// let paths = Paths::new(&[0.0, 4.0, 0.0, 0.0], 2)?;
/// // sqrt|9 - 0| is 3; the paths have sqrt 4 = 2 and 0, mean 1. Both orders of the two steps count.
/// assert_eq!(variogram_score(&paths, &[0.0, 9.0])?, 2.0 * 4.0);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error when there are fewer than two paths, the target is not `[H]` or not finite, or
/// the score overflows.
pub fn variogram_score(paths: &Paths<'_>, target: &[f64]) -> Result<f64, MetricError> {
    const METRIC: &str = "variogram score";
    paths.check(METRIC, target)?;
    let (count, horizon) = (paths.count(), paths.horizon());
    // The order is steps by paths, so that a pair of steps is two contiguous runs of memory.
    let mut steps = vec![0.0; count * horizon];
    for (n, path) in paths.iter().enumerate() {
        for (h, value) in path.iter().enumerate() {
            steps[h * count + n] = *value;
        }
    }
    let of = |h: usize| &steps[h * count..][..count];
    let mut score = 0.0;
    for i in 0..horizon {
        for j in i + 1..horizon {
            let expected = root_differences(of(i), of(j)) / count as f64;
            let error = (target[i] - target[j]).abs().sqrt() - expected;
            score += 2.0 * error * error / (j - i) as f64;
        }
    }
    if score.is_finite() {
        return Ok(score);
    }
    Err(MetricError::Score { metric: METRIC, window: 0, step: None, value: score })
}

/// The sum of `sqrt|a - b|`, in four independent parts.
fn root_differences(a: &[f64], b: &[f64]) -> f64 {
    let (whole, rest) = a.as_chunks::<4>();
    let (others, last) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    // Tests run this with few optimisations, where iterators inside the loop would be function
    // calls.
    for at in 0..whole.len().min(others.len()) {
        let (a, b) = (&whole[at], &others[at]);
        for k in 0..4 {
            sums[k] += (a[k] - b[k]).abs().sqrt();
        }
    }
    let tail: f64 = rest.iter().zip(last).map(|(a, b)| (a - b).abs().sqrt()).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}
