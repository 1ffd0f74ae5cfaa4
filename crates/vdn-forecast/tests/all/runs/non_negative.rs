//! Nonnegative series: rejected settings, and forecasts of every kind.

use crate::runs::support::{Failure, config, refusal};
use std::collections::BTreeMap;
use std::path::Path;
use vdn_forecast::evaluate::Inference;
use vdn_forecast::report::report_run;
use vdn_forecast::run::{
    Backtest, BacktestOptions, ForecastContent, ForecastFormat, ForecastOptions, Report,
    RunDirectory, backtest, evaluate_run, evaluate_run_by, forecast_run_by, train_run,
};
use vdn_train::run::store::Interrupt;

const SMALL: &str = "[data]\ncolumns = [\"precipitation\", \"wind\"]\ninput_len = 24\nhorizon = 5\n\
    max_train = 64\nmax_validation = 16\nmax_test = 16\n";
const LIMITED: &str = "support = \"non_negative\"\n";
const MODEL: &str = "[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 8\n";
const TRAIN: &str = "[train]\nepochs = 3\nbatch = 32\nlearning_rate = 0.01\ntwin = true\n\
    [diagnostics]\nwindows = 16\nunits = 2\n";

fn run(support: &str, model: &str, out: &Path) -> Result<(RunDirectory, Report), Failure> {
    let config = config(SMALL, &format!("{support}{MODEL}{model}{TRAIN}"))?;
    let report = train_run(&config, Some(out), |_, _| {})?;
    Ok((RunDirectory::open(out)?, report))
}

fn forecast(
    run: &RunDirectory,
    content: ForecastContent,
    by: Inference,
) -> Result<String, Failure> {
    let options = ForecastOptions { content, ..ForecastOptions::default() };
    Ok(forecast_run_by(run, options, by)?.csv)
}

/// The numbers of each line after its first `names` cells, by the first cell.
fn numbers(csv: &str, names: usize) -> BTreeMap<String, Vec<Vec<f64>>> {
    let mut found: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let own = cells[names..].iter().map(|cell| cell.parse().unwrap()).collect();
        found.entry(cells[0].to_owned()).or_default().push(own);
    }
    found
}

#[test]
fn nothing_negative_is_forecast_by_any_head() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    for (name, model) in [("closed", ""), ("sampled", "dependence = \"sampled\"\nbeta = 1e-4\n")] {
        let (run, report) = run(LIMITED, model, &directory.path().join(name))?;
        let steps = ForecastContent::Steps(ForecastFormat::Quantiles);
        let all = [
            (steps, 3, Inference::Samples),
            (ForecastContent::Steps(ForecastFormat::Nixtla), 2, Inference::Samples),
            (ForecastContent::Paths(300), 4, Inference::Samples),
            (ForecastContent::Aggregate("sum".parse()?), 3, Inference::Samples),
            (ForecastContent::Aggregate("mean:3".parse()?), 3, Inference::Samples),
            (ForecastContent::Aggregate("max".parse()?), 3, Inference::Samples),
            (steps, 3, Inference::Moments),
        ];
        let mut zeros = 0;
        for (content, names, by) in all {
            for (series, lines) in numbers(&forecast(&run, content, by)?, names) {
                let values = || lines.iter().flatten();
                assert!(values().all(|x| *x >= 0.0), "{name} {content:?} {series}: {lines:?}");
                zeros += values().filter(|x| **x == 0.0).count();
            }
        }
        // Rain is zero on some days.
        assert!(zeros > 100, "{name}: {zeros}");
        // The mean of the sum is the sum of the means. It is estimated from 2048 paths, with a
        // deviation of at most the sum of the steps' deviations, within five standard errors.
        let lines = numbers(&forecast(&run, steps, Inference::Samples)?, 3);
        let sums = numbers(
            &forecast(&run, ForecastContent::Aggregate("sum".parse()?), Inference::Samples)?,
            3,
        );
        for (series, lines) in &lines {
            let mean: f64 = lines.iter().map(|line| line[0]).sum();
            let spread: f64 = lines.iter().map(|line| (line[7] - line[1]) / 2.0).sum();
            let found = sums[series][0][0];
            // A gated head uses other samples for its steps than for its sums.
            let slack = if name == "closed" { 5.0 / 2048_f64.sqrt() } else { 5.0 / 8_f64.sqrt() };
            assert!((found - mean).abs() < slack * spread, "{name} {series}: {found} {mean}");
        }
        // The stored model has the same scores, also by moments.
        let again = evaluate_run(&run)?;
        assert_eq!(again.rows[0].crps.to_bits(), report.rows[0].crps.to_bits());
        assert!(evaluate_run_by(&run, Inference::Moments)?.rows[0].crps.is_finite());
        // The density of a window with zeros has no closed form.
        let joint = |row: usize| report.rows[row].wholes.joint_nll;
        assert_eq!(joint(0).is_some(), name == "sampled");
        assert!(report_run(&run)?.contains("precipitation"));
    }
    Ok(())
}

/// The limited baselines are the same forecasts with values below zero raised to zero. So their
/// CRPS is lower, and all scores have the same units.
#[test]
fn baselines_are_limited_like_the_model_and_never_score_worse() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (_, free) = run("", "", &directory.path().join("free"))?;
    let (_, limited) = run(LIMITED, "", &directory.path().join("limited"))?;
    let mut compared = 0;
    for (a, b) in free.rows.iter().zip(&limited.rows) {
        assert_eq!(a.name, b.name);
        if a.name.starts_with("ridge") || a.name.starts_with("seasonal") {
            assert!(b.crps < a.crps, "{}: {} {}", a.name, b.crps, a.crps);
            // The scale is the same.
            assert!(b.crps > 0.5 * a.crps, "{}: {} {}", a.name, b.crps, a.crps);
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
    // The model is trained on the probability of zeros, which are half of all values.
    assert!(limited.rows[0].crps < free.rows[0].crps, "{free} {limited}");
    Ok(())
}

#[test]
fn a_backtest_keeps_the_limit() -> Result<(), Failure> {
    let text = format!("{LIMITED}{MODEL}{TRAIN}").replace("twin = true\n", "");
    let options = BacktestOptions { windows: 12, step: None, refit: 0 };
    let of = |text: &str| -> Result<Backtest, Failure> {
        Ok(backtest(&config(SMALL, text)?, options, &Interrupt::new(), |_| {})?)
    };
    let (found, free) = (of(&text)?, of(&text.replace(LIMITED, ""))?);
    // Intervals of rain end at zero, also after calibration.
    let rain = |of: &Backtest| -> Result<[f64; 2], Failure> {
        let scores = of.by_series[0].1.as_ref().ok_or("no target")?;
        let calibrated = scores.calibrated.as_ref().ok_or("too few origins")?;
        Ok([scores.width, calibrated.width])
    };
    let [[width, after], [free_width, free_after]] = [rain(&found)?, rain(&free)?];
    assert!(width < free_width && after < free_after, "{found} {free}");
    Ok(())
}

#[test]
fn negative_values_are_refused_with_line_and_column() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("sold.csv");
    let mut text = "date,a,b\n".to_owned();
    for day in 1..=28 {
        let b = if day == 17 { -3.5 } else { f64::from(day) };
        text += &format!("2021-02-{day:02},{day},{b}\n");
    }
    std::fs::write(&file, &text)?;
    let of = |more: &str| {
        let file = file.display();
        let text = format!("[data]\nfile = \"{file}\"\nsupport = \"non_negative\"\n{more}");
        let found = config("", &text)?;
        Ok::<_, Failure>(found.data.load_table().map_err(|error| error.to_string()))
    };
    let error = of("")?.unwrap_err();
    assert!(error.contains("sold.csv:18: column 3 (`b`): -3.5 is negative"), "{error}");
    assert!(error.contains("data.support") && error.lines().count() == 1, "{error}");
    // Other columns, or a sentinel for the negative value, are accepted.
    assert!(of("columns = [\"a\"]\n")?.is_ok());
    assert!(of("sentinels = [-3.5]\nfill = \"forward\"\n")?.is_ok());
    let error =
        refusal("", "[data]\nsupport = \"non_negative\"\n[model]\ndependence = \"joint\"\n");
    assert!(error.contains("data.support") && error.contains("model.dependence"), "{error}");
    Ok(())
}
