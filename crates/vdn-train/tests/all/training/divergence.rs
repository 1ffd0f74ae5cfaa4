//! A training that ends in finite numbers but has diverged is reported.

use super::network::{Regression, rows};
use vdn_train::TrainError;
use vdn_train::config::Selection;
use vdn_train::run::RunFiles;
use vdn_train::train::{Progress, Trained, Trainer};

/// Trains with a learning rate. With a folder it resumes there, and it is interrupted after the
/// step `stop`.
fn run(
    rate: f64,
    scale: f64,
    folder: Option<(&std::path::Path, u64)>,
) -> Result<Trained, TrainError> {
    let (network, mut parameters) = Regression::new();
    let files = folder.map(|(path, _)| RunFiles::open(path)).transpose()?;
    let mut trainer = Trainer { files, ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (20, 8, rate);
    trainer.train.selection = Selection::Last;
    let data = rows(scale);
    let mut session = trainer.session(&network, &mut parameters, &data)?;
    if folder.is_some() {
        session.resume()?;
    }
    session.run(|event| {
        if let (Progress::Step { done, .. }, Some((_, stop))) = (event, folder)
            && done == stop
        {
            trainer.interrupt.request();
        }
    })
}

#[test]
fn a_learning_rate_that_is_too_large_is_told() {
    for scale in [1.0, 30.0] {
        let good = run(1e-2, scale, None).unwrap();
        assert_eq!(good.divergence(), None, "{scale}");
        let untrained = good.untrained.unwrap();
        let bad = run(10.0 * scale, scale, None).unwrap();
        // The same first batch, before any step.
        assert_eq!(bad.untrained, Some(untrained));
        let found = bad.divergence().unwrap_or_else(|| panic!("{scale}: {:?}", bad.history.last()));
        let kept = bad.history.last().unwrap();
        assert_eq!([found.training, found.validation], [kept.train_nll, kept.validation_nll]);
        assert_eq!(found.untrained, untrained);
        // The mean square of the targets is the cost of predicting nothing: 24 rows of
        // `scale (x0 - x1)`, of which the first batch has eight.
        let squares = |rows: std::ops::Range<i32>| -> f64 {
            let x = |i: i32| f64::from(i * 37 % 64) / 16.0 - 2.0;
            rows.map(|row| (scale * (x(2 * row) - x(2 * row + 1))).powi(2)).sum::<f64>()
        };
        let mean = squares(0..24) / 24.0;
        assert!((0.2..5.0).contains(&(untrained / mean)), "{untrained} beside {mean}");
    }
}

#[test]
fn a_run_that_goes_on_knows_what_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(10.0, 1.0, None).unwrap();
    for stop in [1, 30] {
        let stopped = run(10.0, 1.0, Some((folder.path(), stop)));
        assert!(matches!(stopped, Err(TrainError::Interrupted { .. })), "{stopped:?}");
    }
    let resumed = run(10.0, 1.0, Some((folder.path(), u64::MAX))).unwrap();
    assert!(resumed.untrained.is_some());
    assert_eq!(resumed.untrained, whole.untrained);
    assert_eq!(resumed.divergence(), whole.divergence());
}
