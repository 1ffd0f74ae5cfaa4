//! Missing values that stay missing: they are not targets, not scored, and not replaced by a
//! number.

use crate::runs::support::{Failure, config, refusal, train};
use std::path::{Path, PathBuf};
use vdn_forecast::evaluate::{Inference, evaluate, forecast};
use vdn_forecast::report::report_run;
use vdn_forecast::run::{
    BacktestOptions, ForecastContent, ForecastOptions, RunDirectory, backtest, evaluate_run,
    forecast_run_by, train_run,
};
use vdn_model::units::Intervention;
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::Request;
use vdn_train::evaluate::{Averaging, BatchAverages};
use vdn_train::metrics::gaussian_crps;
use vdn_train::run::store::Interrupt;

const ROWS: usize = 300;
const SMALL: &str = "input_len = 14\nhorizon = 4\nseason = 7\n[model]\nunits = 4\nhidden = 8\n\
    head_hidden = 8\nevaluate_samples = 4\n[train]\nepochs = 3\nbatch = 32\nlearning_rate = 0.01\n\
    twin = true\n[diagnostics]\nwindows = 16\nunits = 2\n";

/// Two series with weekly waves; `cell(row)` writes the values of the first one.
fn file(folder: &Path, name: &str, cell: impl Fn(usize, f64) -> String) -> PathBuf {
    let mut noise = vec![0.0; 2 * ROWS];
    NoiseKey::new(3, 0, 0).fill_normal(0, &mut noise);
    let mut text = "step,a,b\n".to_owned();
    for row in 0..ROWS {
        let wave = (row as f64 * std::f64::consts::TAU / 7.0).sin();
        let [a, b] = [2.0 * wave + noise[row], 5.0 - wave + 0.5 * noise[ROWS + row]];
        text += &format!("{row},{},{b}\n", cell(row, a));
    }
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Scattered values, and a gap of 40 rows.
fn is_missing(row: usize) -> bool {
    row > 0 && (row * 7919 % 11 == 3 || (120..160).contains(&row))
}

fn settings(file: &Path, data: &str, model: &str) -> String {
    let file = file.display();
    let small = SMALL.replace("[model]\n", &format!("[model]\n{model}"));
    format!("[data]\nfile = \"{file}\"\ncolumns = [\"a\", \"b\"]\n{data}{small}")
}

/// A number that stands for a missing value is treated like an empty cell.
#[test]
fn named_fill_values_and_empty_cells_are_the_same() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let folder = directory.path();
    let empty = file(folder, "empty.csv", |row, a| match is_missing(row) {
        true => String::new(),
        false => a.to_string(),
    });
    let marked = file(folder, "marked.csv", |row, a| match is_missing(row) {
        true => "-999".to_owned(),
        false => a.to_string(),
    });
    for model in ["", "dependence = \"sampled\"\nbeta = 1e-4\n"] {
        let mask = "fill = \"mask\"\n";
        let report = train_run(&config("", &settings(&empty, mask, model))?, None, |_, _| {})?;
        let other = format!("{mask}sentinels = [-999.0]\n");
        let other = train_run(&config("", &settings(&marked, &other, model))?, None, |_, _| {})?;
        for (a, b) in report.rows.iter().zip(&other.rows) {
            assert_eq!((a.crps.to_bits(), a.mse.to_bits()), (b.crps.to_bits(), b.mse.to_bits()));
            assert!(a.crps.is_finite() && a.mse.is_finite(), "{report}");
        }
        let notes = report.notes.join("\n");
        assert!(notes.contains("kept as missing"), "{notes}");
        assert!(notes.contains("windows have no value in their input, or no target"), "{notes}");
        // Whole forecasts are scored on windows without gaps.
        assert!(report.rows[0].wholes.horizon_mean.is_some());
    }
    Ok(())
}

/// In the table, in the selection of the epoch and in validation, each observed target has the same
/// weight, however many its window has. This holds for averages over windows. In averages over
/// batches it holds within each batch (of seven windows; the last batch has fewer). By samples, the
/// score is that of steps.
#[test]
fn every_score_is_a_mean_over_targets_that_are_there() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let gaps = file(directory.path(), "gaps.csv", |row, a| match is_missing(row) {
        true => String::new(),
        false => a.to_string(),
    });
    let model = "dependence = \"sampled\"\nbeta = 1e-4\n";
    let run = train(config("", &settings(&gaps, "fill = \"mask\"\n", model))?, None)?;
    let data = &run.data;
    let windows = &data.splits().validation[..40];
    let horizon = data.spec().horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |y| y)?;
    let shares = targets.chunks(horizon).map(|y| y.iter().filter(|y| !y.is_nan()).count());
    // Windows with all targets, and windows with some.
    let shares: std::collections::BTreeSet<usize> = shares.collect();
    assert!(shares.len() > 1 && shares.contains(&horizon), "{shares:?}");
    let control = run.config.control.build(&run.model.config().controlled_layers(), false)?;
    let batch = 7;
    for weigh in [Averaging::Windows, Averaging::Batches] {
        let averages = BatchAverages { weigh, batch };
        let scores = run.scores().averaging(averages);
        let mut means = Vec::new();
        scores.for_each_pass(windows, Request::INPUTS, |_, graph, inputs, _| {
            means.extend(run.model.predict(graph, inputs, Intervention::None)?.0.mean());
            Ok(())
        })?;
        let outcomes = scores.outcomes(windows, Intervention::None)?;
        let (mut sum, mut likelihood, mut total) = (0.0, 0.0, 0.0);
        for (row, own) in targets.chunks(horizon).enumerate() {
            let first = row / batch * batch;
            let weight = averages.weight(windows.len(), batch.min(windows.len() - first));
            for (mean, y) in means[row * horizon..].iter().zip(own).filter(|(_, y)| !y.is_nan()) {
                sum += weight * (mean - y).powi(2);
                total += weight;
            }
            likelihood += weight * outcomes[row].score;
        }
        let expected = sum / total;
        let (table, _) = evaluate(&scores, windows, Intervention::None)?;
        assert!((table.mse.mean / expected - 1.0).abs() < 1e-12, "{} {expected}", table.mse.mean);
        // In the precision of the model.
        let quick = scores.validate(windows, &control)?;
        let mse = quick.mse.ok_or("no squared error")?;
        assert!((mse / expected - 1.0).abs() < 1e-5, "{mse} {expected}");
        let nll = -likelihood / total;
        assert!((quick.score / nll - 1.0).abs() < 1e-5, "{weigh:?}: {} {nll}", quick.score);
        assert!((scores.mean_crps(windows)? / table.crps.mean - 1.0).abs() < 1e-12);
    }
    Ok(())
}

/// The outcome of a window is that of its observed targets. It is compared with the normal forecast
/// of each step of a twin, whose steps are independent.
#[test]
fn outcomes_are_those_of_the_targets_that_are_there() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let gaps = file(directory.path(), "gaps.csv", |row, a| match is_missing(row) {
        true => String::new(),
        false => a.to_string(),
    });
    let fast = "fill = \"mask\"\n";
    let twin = train(config("", &settings(&gaps, fast, "variant = \"twin\"\n"))?, None)?;
    let data = &twin.data;
    let windows = &data.splits().test;
    let horizon = data.spec().horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |y| y)?;
    let outcomes = twin.scores().outcomes(windows, Intervention::None)?;
    let mut place = 0;
    let mut partial = 0;
    for prediction in forecast(&twin.scores(), windows)? {
        for row in 0..prediction.shape[1] {
            // One sample, and deviations of each window.
            assert_eq!(prediction.means.len(), prediction.sigma.len());
            let of = |all: &[f64]| all[row * horizon..][..horizon].to_vec();
            let (means, sigma) = (of(&prediction.means), of(&prediction.sigma));
            let own = &targets[place * horizon..][..horizon];
            let seen: Vec<usize> = (0..horizon).filter(|&h| !own[h].is_nan()).collect();
            partial += usize::from(seen.len() < horizon);
            let (mut likelihood, mut crps) = (0.0, 0.0);
            for &h in &seen {
                let z = (own[h] - means[h]) / sigma[h];
                let tau = std::f64::consts::TAU;
                likelihood -= 0.5 * z * z + sigma[h].ln() + 0.5 * tau.ln();
                crps += gaussian_crps(means[h], sigma[h], own[h]) / seen.len() as f64;
            }
            let found = outcomes[place];
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0);
            assert!(near(found.likelihood, likelihood), "{found:?} {likelihood}");
            assert!(near(found.score, likelihood), "{found:?} {likelihood}");
            assert!(near(found.crps, crps), "{found:?} {crps}");
            place += 1;
        }
    }
    assert!(partial > 3 && place == windows.len(), "{partial}");
    Ok(())
}

#[test]
fn without_missing_values_a_mask_moves_no_bit() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let whole = file(directory.path(), "whole.csv", |_, a| a.to_string());
    let of = |data: &str| -> Result<Vec<u64>, Failure> {
        let report = train_run(&config("", &settings(&whole, data, ""))?, None, |_, _| {})?;
        Ok(report.rows.iter().map(|row| row.crps.to_bits()).collect())
    };
    assert_eq!(of("")?, of("fill = \"mask\"\n")?);
    Ok(())
}

/// In the test part, every third value of the series is 10 deviations too high, and either marked
/// as missing or not. Only observed values are scored.
#[test]
fn only_values_that_are_there_are_scored() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let folder = directory.path();
    let spoiled = file(folder, "spoiled.csv", |row, a| match row > 250 && row % 3 == 0 {
        true => "50".to_owned(),
        false => a.to_string(),
    });
    let of = |data: &str| -> Result<Vec<f64>, Failure> {
        let report = train_run(&config("", &settings(&spoiled, data, ""))?, None, |_, _| {})?;
        Ok(report
            .rows
            .iter()
            .filter(|row| !row.name.contains("residual"))
            .map(|row| row.mse)
            .collect())
    };
    let seen = of("fill = \"mask\"\nsentinels = [50.0]\n")?;
    for (masked, all) in seen.iter().zip(of("")?) {
        assert!(*masked < 2.0 && all > 20.0, "{masked} {all}");
    }
    Ok(())
}

#[test]
fn runs_with_gaps_are_evaluated_forecast_drawn_and_backtested() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let folder = directory.path();
    let gaps = file(folder, "gaps.csv", |row, a| match is_missing(row) || row > ROWS - 4 {
        true => String::new(),
        false => a.to_string(),
    });
    let out = folder.join("run");
    let text = settings(&gaps, "fill = \"mask\"\nsupport = \"real\"\n", "");
    let config_of = config("", &text)?;
    let report = train_run(&config_of, Some(&out), |_, _| {})?;
    let run = RunDirectory::open(&out)?;
    assert_eq!(evaluate_run(&run)?.rows[0].crps.to_bits(), report.rows[0].crps.to_bits());
    for content in [ForecastContent::default(), ForecastContent::Paths(3)] {
        let options = ForecastOptions { content, ..ForecastOptions::default() };
        let csv = forecast_run_by(&run, options, Inference::Samples)?.csv;
        assert!(!csv.contains("NaN"), "{csv}");
    }
    assert!(!report_run(&run)?.contains("NaN"));
    // A series that has ended is skipped, and the other one is forecast.
    let ended = file(folder, "ended.csv", |row, a| match row > ROWS - 20 {
        true => String::new(),
        false => a.to_string(),
    });
    let options = ForecastOptions { file: Some(&ended), ..ForecastOptions::default() };
    let found = forecast_run_by(&run, options, Inference::Samples)?;
    assert!(found.csv.lines().skip(1).all(|line| line.starts_with("b,")), "{}", found.csv);
    let note = "a: the last 18 rows hold no value, left out".to_owned();
    assert!(found.notes.contains(&note), "{:?}", found.notes);
    let options = BacktestOptions { windows: 12, step: None, refit: 0 };
    let found = backtest(&config_of, options, &Interrupt::new(), |_| {})?;
    assert!(found.overall.crps.is_finite() && found.overall.mse < 3.0, "{found}");
    let joint = "[data]\nfill = \"mask\"\n[model]\ndependence = \"joint\"\n";
    let error = refusal("", joint);
    assert!(error.contains("data.fill") && error.contains("model.dependence"), "{error}");
    Ok(())
}
