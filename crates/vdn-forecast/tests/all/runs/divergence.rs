//! Trainings that diverged with finite numbers are reported, by runs and by backtests.

use super::support::{self, Failure};
use vdn_forecast::run::{BacktestOptions, backtest, train_run};
use vdn_train::run::store::Interrupt;

const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\n\
    max_train = 64\nmax_validation = 16\nmax_test = 16\n[model]\nunits = 8\nhidden = 8\n\
    head_hidden = 8\nevaluate_samples = 4\n[train]\nepochs = 2\ntwin = true\n";

#[test]
fn a_learning_rate_that_is_too_large_is_told() -> Result<(), Failure> {
    for (rate, diverges) in [("1e-3", false), ("10.0", true)] {
        let config = support::config(SMALL, &format!("learning_rate = {rate}\n"))?;
        let report = train_run(&config, None, |_, _| {})?;
        let warnings: Vec<&String> =
            report.notes.iter().filter(|note| note.starts_with("WARNING: ")).collect();
        assert_eq!(warnings.len(), if diverges { 2 } else { 0 }, "{rate}: {:?}", report.notes);
        for (note, name) in warnings.iter().zip(["variational units", "deterministic twin"]) {
            assert!(note.starts_with(&format!("WARNING: {name}: ")), "{note}");
            for part in [" times that of ", "training has diverged", "train.learning_rate"] {
                assert!(note.contains(part) && note.lines().count() == 1, "{note}");
            }
            assert!(report.to_string().contains(note.as_str()), "the table has it");
        }
        let options = BacktestOptions { windows: 2, step: None, refit: 1 };
        let result = backtest(&config, options, &Interrupt::new(), |_| {})?;
        let warnings: Vec<&String> =
            result.notes.iter().filter(|note| note.starts_with("WARNING: ")).collect();
        assert_eq!(warnings.len(), if diverges { 2 } else { 0 }, "{rate}: {:?}", result.notes);
        for (note, origin) in warnings.iter().zip([1, 2]) {
            let start = format!("WARNING: before origin {origin}: training has diverged: ");
            assert!(note.starts_with(&start), "{note}");
        }
    }
    Ok(())
}
