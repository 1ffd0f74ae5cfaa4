//! The area under the receiver operating characteristic: how well a score separates two kinds of
//! rows.

use vdn_train::metrics::MetricError;

/// The probability that a row of the second kind has a larger score than a row of the first kind.
/// Ties count half. It is 0.5 if the score has no information and 1 if it separates the kinds. This
/// is the statistic of Mann and Whitney (1947) divided by the number of pairs.
///
/// ```
/// use vdn_tasks::evaluate::auroc;
/// // Of four pairs, three are in order and one is tied.
/// assert_eq!(auroc(&[0.1, 0.4], &[0.4, 0.9])?, 3.5 / 4.0);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error if one kind has no rows or if a score is not finite.
pub fn auroc(inside: &[f64], outside: &[f64]) -> Result<f64, MetricError> {
    const METRIC: &str = "AUROC";
    let sizes = [inside.len(), outside.len()];
    if sizes.contains(&0) {
        let detail = format!("scores of {sizes:?} rows");
        return Err(MetricError::Shape { operation: METRIC, detail });
    }
    let both = inside.iter().map(|&x| (x, false)).chain(outside.iter().map(|&x| (x, true)));
    let mut all: Vec<(f64, bool)> = both.collect();
    if let Some(window) = all.iter().position(|(x, _)| !x.is_finite()) {
        let value = all[window].0;
        return Err(MetricError::Score { metric: METRIC, window, step: None, value });
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // For every outside row, the number of inside rows below it. Whole and half numbers are exact.
    let (mut below, mut pairs) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let outside = tied.iter().filter(|(_, outside)| *outside).count() as f64;
        let inside = tied.len() as f64 - outside;
        pairs += outside * (below + 0.5 * inside);
        below += inside;
    }
    Ok(pairs / (sizes[0] as f64 * sizes[1] as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_of_pairs_in_order() {
        let score = |i: usize, k: usize| ((i * k) % 17) as f64 * 0.5;
        let inside: Vec<f64> = (0..40).map(|i| score(i, 5)).collect();
        let outside: Vec<f64> = (0..33).map(|i| score(i, 7) + 1.0).collect();
        let mut pairs = 0.0;
        for a in &inside {
            for b in &outside {
                pairs += if b > a {
                    1.0
                } else if b == a {
                    0.5
                } else {
                    0.0
                };
            }
        }
        let expected = pairs / (40.0 * 33.0);
        assert!(expected > 0.55 && expected < 0.95, "{expected} would show nothing");
        assert_eq!(auroc(&inside, &outside).unwrap(), expected);
        // With the kinds exchanged it is the share of the other pairs.
        let swapped = auroc(&outside, &inside).unwrap();
        assert!((swapped - (1.0 - expected)).abs() < 1e-15);
        assert_eq!(auroc(&[1.0; 3], &[1.0; 4]).unwrap(), 0.5);
        assert_eq!(auroc(&[0.0], &[1.0]).unwrap(), 1.0);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        assert!(auroc(&[], &[1.0]).is_err());
        let error = auroc(&[1.0], &[f64::NAN]).unwrap_err().to_string();
        assert!(error.contains("AUROC"), "{error}");
    }
}
