//! What is known beside the values of a window: cycles, columns of the file, categories.

use crate::runs::support::{Failure, config, refusal};
use std::path::{Path, PathBuf};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::SeriesTable;
use vdn_forecast::forecaster::Forecaster;
use vdn_forecast::run::{
    BacktestOptions, Report, RunDirectory, backtest, evaluate_run, forecast_run, train_run,
};
use vdn_tensor::noise::NoiseKey;
use vdn_train::run::store::Interrupt;

const SMALL: &str = "[model]\nunits = 4\nhidden = 16\n[train]\nepochs = 30\nbatch = 32\n\
    learning_rate = 0.01\ntwin = true\npatience = 0\n[diagnostics]\nwindows = 0\n";
/// Rows with values of the series, and rows ahead of them.
const ROWS: usize = 400;
const AHEAD: usize = 4;

fn normal(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(11, stream, 0).fill_normal(0, &mut x);
    x
}

fn date(row: usize) -> String {
    let day = day_after(row);
    format!("{:04}-{:02}-{:02}", day[0], day[1], day[2])
}

/// The date so many days after 2020-01-01.
fn day_after(mut row: usize) -> [usize; 3] {
    let mut year = 2020;
    loop {
        let leap = year % 4 == 0;
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if row < length {
                return [year, month, row + 1];
            }
            row -= length;
        }
        year += 1;
    }
}

/// A wide file: `sold` is noise with 3 more on days of the plan, which is known ahead, and with
/// the weather of the day before.
fn planned(folder: &Path, ahead: usize, last: f64) -> PathBuf {
    let (noise, weather) = (normal(0, ROWS + AHEAD), normal(1, ROWS + AHEAD));
    let plan: Vec<f64> =
        normal(2, ROWS + AHEAD).iter().map(|x| f64::from(u8::from(*x > 0.5))).collect();
    let mut text = "date,weather,plan,sold\n".to_owned();
    for row in 0..ROWS + ahead {
        let before = if row > 0 { weather[row - 1] } else { 0.0 };
        let plan = if row < ROWS { plan[row] } else { last };
        let value = 0.3 * noise[row] + 3.0 * plan + 1.5 * before;
        let (sold, weather) = match row < ROWS {
            true => (value.to_string(), weather[row].to_string()),
            false => (String::new(), String::new()),
        };
        text += &format!("{},{weather},{plan},{sold}\n", date(row));
    }
    let file = folder.join(format!("planned-{ahead}-{last}.csv"));
    std::fs::write(&file, text).unwrap();
    file
}

fn settings(file: &Path, beside: &str, horizon: usize) -> String {
    let file = file.display();
    format!(
        "[data]\nfile = \"{file}\"\ncolumns = [\"sold\"]\ninput_len = 7\nhorizon = {horizon}\n\
         season = 7\n{beside}{SMALL}"
    )
}

fn mse(report: &Report, name: &str) -> f64 {
    report.rows.iter().find(|row| row.name.starts_with(name)).unwrap().mse
}

/// The values of the plan and the last value of the weather explain all but noise of variance 0.09,
/// of a variance of about 4.4; for a forecast of one step.
#[test]
fn units_twin_and_ridge_see_the_same_columns() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let file = planned(directory.path(), AHEAD, 1.0);
    let of = |beside: &str| -> Result<Report, Failure> {
        Ok(train_run(&config("", &settings(&file, beside, 1))?, None, |_, _| {})?)
    };
    let blind = train_run(
        &config("", &settings(&planned(directory.path(), 0, 1.0), "", 1))?,
        None,
        |_, _| {},
    )?;
    let planned = of("future = [\"plan\"]\n")?;
    let both = of("past = [\"weather\"]\nfuture = [\"plan\"]\n")?;
    for name in ["variational", "deterministic twin", "ridge"] {
        let [blind, planned, both] = [&blind, &planned, &both].map(|report| mse(report, name));
        assert!(planned < 0.85 * blind, "{name}: {planned}, without the plan {blind}");
        assert!(both < 0.35 * planned, "{name}: {both}, without the weather {planned}");
    }
    Ok(())
}

#[test]
fn a_forecast_takes_the_rows_ahead() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("run");
    let file = planned(directory.path(), AHEAD, 1.0);
    let beside = "past = [\"weather\"]\nfuture = [\"plan\"]\ncalendar = true\n";
    let config = config("", &settings(&file, beside, AHEAD))?;
    let report = train_run(&config, Some(&out), |_, _| {})?;
    let run = RunDirectory::open(&out)?;
    // What is stored scores the same.
    assert_eq!(evaluate_run(&run)?.rows[0].crps.to_bits(), report.rows[0].crps.to_bits());
    let means = |csv: &str| -> Vec<f64> {
        csv.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
    };
    let with_plan = forecast_run(&run, None)?;
    assert!(with_plan.contains(&date(ROWS)), "{with_plan}");
    let without = forecast_run(&run, Some(&planned(directory.path(), AHEAD, 0.0)))?;
    for (yes, no) in means(&with_plan).iter().zip(means(&without)) {
        // 3 more each day, learnt from few windows.
        assert!((2.0..4.0).contains(&(yes - no)), "{with_plan} {without}");
    }
    // Fewer rows ahead than are forecast.
    let error = forecast_run(&run, Some(&planned(directory.path(), AHEAD - 1, 1.0)));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("plan") && error.contains("4 rows behind"), "{error}");
    assert!(error.contains("3 are there") && error.lines().count() == 1, "{error}");
    // The scales of covariates belong to the run.
    let path = run.file("scaler.json");
    let text = std::fs::read_to_string(&path)?;
    assert!(text.contains("\"plan\"") && text.contains("\"week\""), "{text}");
    Ok(())
}

#[test]
fn a_backtest_knows_plans_and_no_weather_ahead() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let file = planned(directory.path(), 0, 1.0);
    let options = BacktestOptions { windows: 30, step: Some(2), refit: 0 };
    let of = |beside: &str| -> Result<f64, Failure> {
        let config = config("", &settings(&file, beside, 2).replace("twin = true\n", ""))?;
        Ok(backtest(&config, options, &Interrupt::new(), |_| {})?.overall.mse)
    };
    let (blind, planned) = (of("")?, of("future = [\"plan\"]\n")?);
    // Weather, most of the rest, is known to neither.
    assert!(planned < 0.9 * blind, "{planned} {blind}");
    Ok(())
}

/// Long form: two shops, one of which sells 2 more on Mondays, the other 2 less.
fn shops(folder: &Path, change: Option<usize>) -> PathBuf {
    let mut text = "unique_id,ds,kind,y\n".to_owned();
    for (shop, kind, effect) in [("a", "street", 2.0), ("b", "station", -2.0)] {
        for (row, noise) in normal(shop.len() as u32 + effect as u32, ROWS).iter().enumerate() {
            let monday = f64::from(u8::from(row % 7 == 5));
            let kind = if change == Some(row) { "other" } else { kind };
            text += &format!("{shop},{},{kind},{}\n", date(row), 0.3 * noise + effect * monday);
        }
    }
    let file = folder.join(format!("shops-{change:?}.csv"));
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn categories_are_learned_and_those_that_change_are_refused() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let file = shops(directory.path(), None);
    let of = |beside: &str| {
        let file = file.display();
        format!(
            "[data]\nfile = \"{file}\"\ninput_len = 2\nhorizon = 1\nseason = 7\n{beside}{SMALL}"
        )
    };
    let text = of("static = [\"kind\"]\ncalendar = true\n");
    let run = config("", &text)?;
    let data = run.data.dataset(run.data.load_table()?)?;
    let found = &data.covariates().statics[0];
    assert_eq!(
        (&found.name[..], &found.categories[..]),
        ("kind", &["station".to_owned(), "street".to_owned()][..])
    );
    let (_, parameters) = Forecaster::new::<f32>(run.forecaster_for(&data)?, 0)?;
    let table = parameters.find("covariates.context_embedding").ok_or("no embedding")?;
    assert_eq!(parameters.get(table).tensor().shape().dims(), [2, 16]);
    let with = train_run(&run, None, |_, _| {})?;
    let without = train_run(&config("", &of("calendar = true\n"))?, None, |_, _| {})?;
    // The shops differ by the product of category and day, which the context can form; a Monday is
    // in neither window of the next one.
    for name in ["variational", "deterministic twin"] {
        let [with, without] = [&with, &without].map(|report| mse(report, name));
        assert!(with < 0.6 * without, "{name}: {with}, without the kind {without}");
    }
    let text = of("static = [\"kind\"]\n").replace("shops-None", "shops-Some(9)");
    shops(directory.path(), Some(9));
    let error = config("", &text)?.data.load_table().unwrap_err().to_string();
    assert!(error.contains("shops-Some(9).csv:11: column 3 (`kind`)"), "{error}");
    assert!(error.contains("\"other\" stands here and \"street\""), "{error}");
    Ok(())
}

#[test]
fn columns_that_cannot_be_covariates_are_refused_in_one_line() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let file = planned(directory.path(), AHEAD, 1.0);
    let load = |beside: &str| -> Result<SeriesTable, String> {
        let text = settings(&file, beside, 1);
        let config = RunConfig::from_toml(&text).map_err(|error| error.to_string())?;
        config.data.load_table().map_err(|error| error.to_string())
    };
    let cases = [
        ("past = [\"rain\"]\n", "rain"),
        ("past = [\"plan\"]\nfuture = [\"plan\"]\n", "`plan` is named twice"),
        ("past = [\"sold\"]\n", "selected as a series and as a covariate"),
        ("future = [\"date\"]\n", "`date`"),
        ("static = [\"plan\"]\n", "data.static needs a file in long form"),
        // Weather is not known ahead: behind the last observation it has no values.
        ("future = [\"weather\"]\n", ""),
    ];
    for (beside, expected) in cases {
        match load(beside) {
            Err(error) => {
                assert!(
                    error.contains(expected) && error.lines().count() == 1,
                    "{beside}: {error}"
                );
                assert!(!expected.is_empty(), "{beside}: {error}");
            }
            Ok(table) => assert_eq!((expected, table.rows()), ("", ROWS), "{beside}"),
        }
    }
    // Rows ahead are no gap of the series, and no part of it.
    assert_eq!(load("past = [\"weather\"]\nfuture = [\"plan\"]\n")?.rows(), ROWS);
    let error = refusal("", "[data]\npast = 3\n");
    assert!(error.contains("data.past = 3: has to be a list"), "{error}");
    Ok(())
}
