//! The progress messages of a run.

use super::support::{self, Failure};
use vdn_forecast::run::train_run;
use vdn_train::train::Progress;

#[test]
fn the_baselines_come_before_the_first_step() -> Result<(), Failure> {
    let small = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\nmax_train = 16\n\
        max_validation = 8\nmax_test = 8\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n\
        evaluate_samples = 4\n[train]\nepochs = 1\nbatch = 8\n";
    let (mut prepared, mut steps) = (Vec::new(), Vec::new());
    train_run(&support::config(small, "")?, None, |_, event| match event {
        Progress::Preparation { done, total } => {
            assert!(steps.is_empty(), "after a step");
            prepared.push((done, total));
        }
        Progress::Step { done, .. } => steps.push(done),
        _ => {}
    })?;
    // One portion of windows, and every penalty of the ridge regression.
    let total = 1 + vdn_forecast::baselines::RidgeSettings::default().penalties.len() as u64;
    assert_eq!(prepared, (0..=total).map(|done| (done, total)).collect::<Vec<_>>());
    assert_eq!(steps, [1, 2]);
    Ok(())
}
