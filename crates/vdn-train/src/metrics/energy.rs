//! The energy score: the CRPS of whole paths.
//!
//! `ES(F, y) = E|Y - y| - E|Y - Y'| / 2` with Euclidean distances over the `H` steps and
//! independent `Y, Y'` with distribution `F` (Gneiting and Raftery 2007). The score is proper: its
//! expectation is minimal for the true joint distribution. The unbiased estimate from `n`
//! independent paths is
//!
//! ```text
//! 1/n sum_i |Y_i - y|  -  1/(n (n-1)) sum_{i<j} |Y_i - Y_j|.
//! ```
//!
//! The errors of the means dominate it, and it depends only weakly on the dependence between steps.
//! The [variogram score](super::variogram) depends on little else.

use crate::metrics::error::MetricError;
use crate::metrics::paths::Paths;
use vdn_tensor::dispatch;

/// The energy score of `target [H]` under the paths, in the unit of the target; `O(n^2 H)`.
///
/// ```
/// use vdn_train::metrics::{Paths, energy_score};
/// // Distances to (0, 0) are 5 and 0, between the paths 5.
/// let paths = Paths::new(&[3.0, 4.0, 0.0, 0.0], 2)?;
/// assert_eq!(energy_score(&paths, &[0.0, 0.0])?, 2.5 - 2.5);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error when there are fewer than two paths, the target is not `[H]` or not finite, or
/// the score overflows.
pub fn energy_score(paths: &Paths<'_>, target: &[f64]) -> Result<f64, MetricError> {
    const METRIC: &str = "energy score";
    paths.check(METRIC, target)?;
    let count = paths.count() as f64;
    let to_target: f64 = paths.iter().map(|path| distance(path, target)).sum();
    let value = to_target / count - 0.5 * dispatch!(_simd => mean_distance(paths));
    if value.is_finite() {
        return Ok(value);
    }
    Err(MetricError::Score { metric: METRIC, window: 0, step: None, value })
}

/// The mean distance between two different paths; 0 for a single path. It is compiled for each SIMD
/// level with the same order of additions.
#[inline(always)]
fn mean_distance(paths: &Paths<'_>) -> f64 {
    let mut sum = 0.0;
    for (i, path) in paths.iter().enumerate() {
        for other in paths.iter().skip(i + 1) {
            sum += distance(path, other);
        }
    }
    let count = paths.count() as f64;
    if count > 1.0 { 2.0 * sum / (count * (count - 1.0)) } else { 0.0 }
}

/// The Euclidean distance, summed in eight independent parts so that the processor can overlap
/// them.
#[inline(always)]
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let (whole, rest) = a.as_chunks::<8>();
    let (others, last) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    // Tests run this with few optimisations, where iterators inside the loop would be function
    // calls.
    for at in 0..whole.len().min(others.len()) {
        let (a, b) = (&whole[at], &others[at]);
        for k in 0..8 {
            sums[k] += (a[k] - b[k]) * (a[k] - b[k]);
        }
    }
    let mut tail = 0.0;
    for at in 0..rest.len().min(last.len()) {
        tail += (rest[at] - last[at]) * (rest[at] - last[at]);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    (((a + e) + (c + g)) + ((b + f) + (d + h)) + tail).sqrt()
}
