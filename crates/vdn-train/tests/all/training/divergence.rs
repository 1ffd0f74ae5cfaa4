//! A training that ends in finite numbers but has diverged is reported.

use super::network::{Regression, rows};
use std::path::Path;
use std::sync::Arc;
use vdn_model::core::ControlState;
use vdn_train::TrainError;
use vdn_train::config::Selection;
use vdn_train::run::store::{CheckpointStore, DiskFiles};
use vdn_train::run::{RunFiles, Tensors};
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

/// Rewrites the run's checkpoint with these numbers under the name `untrained` in the section
/// `progress`; with `None`, without this name.
fn rewrite(run: &Path, untrained: Option<&[f64]>) {
    let store = CheckpointStore::new(Arc::new(DiskFiles), run, 2).unwrap();
    let (step, sections) = store.latest().unwrap().checkpoint.unwrap();
    let old: ControlState = Tensors::decode(sections.get("progress").unwrap()).unwrap().into();
    let mut progress = ControlState::new();
    let others = old.iter().filter(|&(name, _)| name != "untrained");
    others.for_each(|(name, values)| progress.put(name, values));
    assert_eq!(progress.iter().count() + 1, old.iter().count());
    if let Some(values) = untrained {
        progress.put("untrained", values);
    }
    let progress = Tensors::from(&progress).encode().unwrap();
    let sections: Vec<(&str, &[u8])> = sections
        .iter()
        .map(|(name, bytes)| (name, if name == "progress" { &progress[..] } else { bytes }))
        .collect();
    store.save(step, &sections).unwrap();
}

#[test]
fn a_checkpoint_of_before_the_score_was_kept_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(1e-2, 1.0, None).unwrap();
    run(1e-2, 1.0, Some((folder.path(), 30))).unwrap_err();
    rewrite(folder.path(), Some(&[1.0, 2.0]));
    let error = run(1e-2, 1.0, Some((folder.path(), 40))).unwrap_err().to_string();
    assert!(error.ends_with("untrained holds 2 numbers instead of 1"), "{error}");
    rewrite(folder.path(), None);
    let resumed = run(1e-2, 1.0, Some((folder.path(), u64::MAX))).unwrap();
    assert_eq!(resumed.untrained, None);
    assert_eq!(resumed.divergence(), None);
    let scores = |trained: &Trained| -> Vec<[u64; 2]> {
        let bits = trained.history.iter().map(|e| [e.train_nll, e.validation_nll]);
        bits.map(|pair| pair.map(f64::to_bits)).collect()
    };
    assert_eq!(scores(&resumed), scores(&whole));
}
