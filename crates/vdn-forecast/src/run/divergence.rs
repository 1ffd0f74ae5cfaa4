//! Warnings about a training that diverged although its numbers stayed finite.

use crate::run::report::Row;
use vdn_train::train::Divergence;

/// The limit on the ratio of a model's squared error to the best baseline's. Above it, a training
/// counts as diverged.
const DIVERGED: f64 = 10.0;

/// Returns a warning for each trained model that is far worse than the best baseline or, without a
/// usable baseline, worse than before its first step. `found` has the divergence of each training,
/// in the order of the models' rows.
pub(super) fn warnings(
    models: &[Row],
    baselines: &[Row],
    found: &[Option<Divergence>],
) -> Vec<String> {
    let best = baselines.iter().min_by(|a, b| a.mse.total_cmp(&b.mse));
    let trained = models.iter().filter(|row| row.best_epoch.is_some());
    let of = |(row, found): (&Row, &Option<Divergence>)| {
        best.and_then(|best| beside_baseline((&row.name, row.mse), (&best.name, best.mse)))
            .or_else(|| found.map(|found| format!("WARNING: {}: {found}", row.name)))
    };
    trained.zip(found).filter_map(of).collect()
}

/// Returns the warning for a model against the best baseline, each with its name and squared error.
/// `None` for a baseline without error (constant series), for which there is no ratio.
fn beside_baseline((name, mse): (&str, f64), (best, least): (&str, f64)) -> Option<String> {
    let near = mse <= DIVERGED * least;
    (least > 0.0 && !near).then(|| {
        format!(
            "WARNING: {name}: the squared error is {:.0} times that of {best}; training has \
             diverged, a smaller train.learning_rate may help",
            mse / least
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_the_error_of_a_baseline_is_too_much() {
        let of = |mse, least| beside_baseline(("model", mse), ("ridge", least));
        for least in [1e-6, 0.8, 30.0] {
            assert_eq!(of(9.0 * least, least), None);
            let note = of(11.0 * least, least).unwrap();
            let start = "WARNING: model: the squared error is 11 times that of ridge; ";
            assert!(note.starts_with(start) && note.lines().count() == 1, "{note}");
        }
        assert!(of(f64::INFINITY, 0.8).unwrap().contains("inf times"));
        assert!(of(f64::NAN, 0.8).is_some());
        // A baseline without error.
        assert_eq!(of(1e-9, 0.0), None);
        assert_eq!(of(f64::INFINITY, 0.0), None);
    }
}
