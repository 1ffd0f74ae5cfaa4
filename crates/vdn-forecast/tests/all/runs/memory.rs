//! A run that would exceed the memory limit is rejected before anything is computed, and so are all
//! other uses of it.

use super::support::{self, Failure, restamp};
use vdn_forecast::report::report_run;
use vdn_forecast::run::{
    BacktestOptions, RunDirectory, backtest, evaluate_run, forecast_run, resume_run, train_run,
};
use vdn_train::run::store::Interrupt;
use vdn_train::train::Progress;

const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\n\
    max_train = 16\nmax_validation = 8\nmax_test = 8\n[model]\nunits = 8\nhidden = 8\n\
    head_hidden = 8\nevaluate_samples = 4\n[train]\nepochs = 1\nbatch = 8\n";

/// A megabyte: less than the program itself.
const TOO_SMALL: &str = "[run]\nmemory = 0.001\n";

fn expect_refusal<R>(result: Result<R, impl std::fmt::Display>, of: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{of}: accepted")).to_string();
    for part in ["the run takes about ", "more than the 1 MB that it may", "raise run.memory"] {
        assert!(error.contains(part) && error.lines().count() == 1, "{of}: {error}");
    }
}

#[test]
fn a_run_beyond_its_memory_is_refused_before_anything_is_computed() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let refused = support::config(SMALL, TOO_SMALL)?;
    let out = folder.path().join("deep").join("run");
    let mut events = 0;
    expect_refusal(train_run(&refused, Some(&out), |_, _| events += 1), "train");
    assert_eq!(events, 0, "something was told");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "a directory is left");
    let options = BacktestOptions { windows: 2, step: None, refit: 0 };
    let result = backtest(&refused, options, &Interrupt::new(), |_| events += 1);
    expect_refusal(result, "backtest");
    assert_eq!(events, 0, "a training was begun");

    let config = support::config(SMALL, "")?;
    let mut first = None;
    train_run(&config, Some(&out), |_, event| {
        first.get_or_insert_with(|| match event {
            Progress::Memory(estimate) => estimate.to_string(),
            other => format!("{other:?}"),
        });
    })?;
    let first = first.unwrap_or_default();
    assert!(first.starts_with("memory    about "), "the estimate comes before all else: {first}");
    // A limit that was small at training does not prevent a forecast.
    let run = RunDirectory::open(&out)?;
    std::fs::write(run.file("config.toml"), refused.to_toml()?)?;
    restamp(&run, "config.toml")?;
    evaluate_run(&run)?;
    report_run(&run)?;
    forecast_run(&run, None)?;

    // A stopped run is not resumed.
    let stopped = folder.path().join("stopped");
    let interrupt = Interrupt::new();
    let result =
        vdn_forecast::run::interruptible_run(&config, Some(&stopped), &interrupt, |_, event| {
            if let Progress::Step { done: 1, .. } = event {
                interrupt.request();
            }
        });
    assert!(result.is_err());
    std::fs::write(stopped.join("config.toml"), refused.to_toml()?)?;
    expect_refusal(resume_run(&stopped, &Interrupt::new(), |_, _| events += 1), "resume");
    assert_eq!(events, 0);
    Ok(())
}
