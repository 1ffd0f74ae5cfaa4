//! Backtests: forecasts use nothing after their origin, and scores use the observed values.

use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{Backtest, BacktestOptions, backtest};
use vdn_train::TrainError;
use vdn_train::run::store::Interrupt;

/// A daily series with a weekly cycle, whose last `after` rows are moved by `shift`.
fn file(folder: &tempfile::TempDir, after: usize, shift: f64) -> String {
    let path = folder.path().join(format!("series-{after}-{shift}.csv"));
    let rows = 220;
    let mut text = "ds,a,b\n".to_owned();
    for row in 0..rows {
        let moved = if row + after >= rows { shift } else { 0.0 };
        let value = (row % 7) as f64 + (row * 7919 % 31) as f64 / 31.0 + moved;
        text += &format!("{row},{value},{}\n", 10.0 - 2.0 * value);
    }
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(file: &str, options: BacktestOptions) -> Result<(Backtest, Vec<usize>), TrainError> {
    let text = format!(
        "[data]\nfile = {file:?}\ninput_len = 14\nhorizon = 4\n[model]\nunits = 4\nhidden = 8\n\
         head_hidden = 8\nsamples = 1\nevaluate_samples = 4\n[train]\nepochs = 2\n"
    );
    let config = RunConfig::from_toml(&text)?;
    let mut trained = Vec::new();
    let result = backtest(&config, options, &Interrupt::new(), |window| trained.push(window))?;
    Ok((result, trained))
}

#[test]
fn rows_behind_the_last_origin_change_no_forecast_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = BacktestOptions { windows: 12, step: Some(2), refit: 5 };
    let (whole, trained) = run(&file(&folder, 0, 0.0), options).unwrap();
    assert_eq!((whole.trainings, &trained[..]), (3, &[0, 5, 10][..]));
    assert_eq!((whole.step, whole.by_step.len(), whole.by_series.len()), (2, 4, 2));
    assert!(whole.overall.calibrated.is_some());
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let steps: Vec<f64> = whole.by_step.iter().flatten().map(|scores| scores.crps).collect();
    let series: Vec<f64> =
        whole.by_series.iter().map(|(_, scores)| scores.as_ref().unwrap().crps).collect();
    for average in [mean(&steps), mean(&series)] {
        assert!((average - whole.overall.crps).abs() < 1e-12, "{average}");
    }
    // The last four rows are targets only of the last two origins. All forecasts stay the same. The
    // scores of the last target change; the scores of the first step of earlier origins do not.
    let (moved, _) = run(&file(&folder, 1, 50.0), options).unwrap();
    assert_eq!(moved.by_step[0], whole.by_step[0]);
    assert_eq!(moved.by_step[2], whole.by_step[2]);
    let last = |of: &Backtest| of.by_step[3].clone().unwrap();
    assert!(last(&moved).mae > last(&whole).mae);
    assert_eq!(last(&moved).width, last(&whole).width);
    // No forecast uses the rows from the last origin on; the forecast of the last origin uses the
    // row before it.
    let widths = |after| -> Vec<f64> {
        let (result, _) = run(&file(&folder, after, 50.0), options).unwrap();
        result.by_step.iter().flatten().map(|scores| scores.width).collect()
    };
    let unmoved: Vec<f64> = whole.by_step.iter().flatten().map(|scores| scores.width).collect();
    assert_eq!(widths(4), unmoved);
    assert_ne!(widths(5), unmoved);
    let json: serde_json::Value = serde_json::from_str(&whole.to_json()).unwrap();
    assert_eq!(json["by_series"][1][0], "b");
    assert!(whole.to_string().contains("12 origins, 2 rows apart; trained 3 times"));
}

#[test]
fn what_cannot_be_backtested_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, 0, 0.0);
    let cases = [
        (BacktestOptions { windows: 0, step: None, refit: 0 }, "windows = 0: has to be in 1"),
        (BacktestOptions { windows: 3, step: Some(0), refit: 0 }, "step = 0: has to be in 1"),
        (
            BacktestOptions { windows: 60, step: Some(4), refit: 0 },
            "no series has 272 rows, which 60 origins 4 rows apart ask for",
        ),
    ];
    for (options, expected) in cases {
        let error = run(&path, options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// At an origin inside a gap, the value after the gap is not known.
#[test]
fn a_gap_across_an_origin_is_filled_from_the_past() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(file(&folder, 0, 0.0)).unwrap();
    let rows = text.lines().count() - 1;
    // At the last origin, the row before it and the row after it are missing.
    let with = |far: f64| -> Backtest {
        let line = |(place, line): (usize, &str)| match place.checked_sub(1) {
            Some(row) if (rows - 6..rows - 2).contains(&row) => format!("{row},,"),
            Some(row) if row == rows - 2 => format!("{row},{far},{far}"),
            _ => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().enumerate().map(line).collect();
        let path = folder.path().join(format!("gap-{far}.csv"));
        std::fs::write(&path, lines.join("\n")).unwrap();
        let text = format!(
            "[data]\nfile = {:?}\ninput_len = 14\nhorizon = 4\nfill = \"linear\"\n[model]\n\
             units = 4\nhidden = 8\nhead_hidden = 8\n[train]\nepochs = 1\n",
            path.to_str().unwrap()
        );
        let config = RunConfig::from_toml(&text).unwrap();
        let options = BacktestOptions { windows: 1, step: None, refit: 0 };
        backtest(&config, options, &Interrupt::new(), |_| {}).unwrap()
    };
    let widths = |of: Backtest| of.by_step.iter().flatten().map(|s| s.width).collect::<Vec<_>>();
    assert_eq!(widths(with(3.0)), widths(with(40.0)));
}

/// A step or a series without a target has no score, and the report says so.
#[test]
fn what_was_never_observed_has_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(file(&folder, 0, 0.0)).unwrap();
    let rows = text.lines().count() - 1;
    // One origin: `b` ends before it, and the second step of `a` is missing.
    let line = |(place, line): (usize, &str)| match place.checked_sub(1) {
        Some(row) if row + 4 >= rows => {
            let a = line.split(',').nth(1).unwrap();
            format!("{row},{},", if row + 3 == rows { "" } else { a })
        }
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().enumerate().map(line).collect();
    let path = folder.path().join("unseen.csv");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let text = format!(
        "[data]\nfile = {:?}\ninput_len = 14\nhorizon = 4\nfill = \"mask\"\n[model]\nunits = 4\n\
         hidden = 8\nhead_hidden = 8\n[train]\nepochs = 1\n",
        path.to_str().unwrap()
    );
    let config = RunConfig::from_toml(&text).unwrap();
    let options = BacktestOptions { windows: 1, step: None, refit: 0 };
    let found = backtest(&config, options, &Interrupt::new(), |_| {}).unwrap();
    let there: Vec<bool> = found.by_step.iter().map(Option::is_some).collect();
    assert_eq!((found.overall.targets, &there[..]), (3, &[true, false, true, true][..]));
    assert!(found.by_series[0].1.is_some() && found.by_series[1].1.is_none());
    let table = found.to_string();
    assert_eq!(table.matches("no value was observed").count(), 2, "{table}");
    assert!(!table.contains("NaN"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&found.to_json()).unwrap();
    assert!(json["by_step"][1].is_null() && json["by_series"][1][1].is_null(), "{json}");
}
