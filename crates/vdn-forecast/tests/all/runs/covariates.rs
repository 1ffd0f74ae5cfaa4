//! Covariates of windows: calendar cycles, columns of the file, categories.

use crate::runs::support::{Failure, config, refusal};
use std::path::{Path, PathBuf};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::SeriesTable;
use vdn_forecast::run::{
    BacktestOptions, Report, RunDirectory, backtest, evaluate_run, forecast_run, train_run,
};
use vdn_tensor::noise::NoiseKey;
use vdn_train::run::store::Interrupt;

pub(super) const SMALL: &str = "[model]\nunits = 4\nhidden = 16\n[train]\nepochs = 30\nbatch = 32\n\
    learning_rate = 0.01\ntwin = true\npatience = 0\n[diagnostics]\nwindows = 0\n";
/// The number of rows with values of the series; `AHEAD` is the number of rows after them.
pub(super) const ROWS: usize = 400;
const AHEAD: usize = 4;

pub(super) fn normal(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(11, stream, 0).fill_normal(0, &mut x);
    x
}

pub(super) fn date(row: usize) -> String {
    let day = day_after(row);
    format!("{:04}-{:02}-{:02}", day[0], day[1], day[2])
}

/// The date `row` days after 2020-01-01.
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

/// A wide file. `sold` is noise, plus 3 on the days of the plan (which is known ahead), plus the
/// weather of the previous day.
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

pub(super) fn mse(report: &Report, name: &str) -> f64 {
    report.rows.iter().find(|row| row.name.starts_with(name)).unwrap().mse
}

/// For a forecast of one step, the plan and the last value of the weather explain everything except
/// noise of variance 0.09, out of a variance of about 4.4.
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
    // The stored model has the same scores.
    assert_eq!(evaluate_run(&run)?.rows[0].crps.to_bits(), report.rows[0].crps.to_bits());
    let means = |csv: &str| -> Vec<f64> {
        csv.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
    };
    let with_plan = forecast_run(&run, None)?;
    assert!(with_plan.contains(&date(ROWS)), "{with_plan}");
    let without = forecast_run(&run, Some(&planned(directory.path(), AHEAD, 0.0)))?;
    for (yes, no) in means(&with_plan).iter().zip(means(&without)) {
        // The effect of the plan is 3 a day, learned from few windows.
        assert!((2.0..4.0).contains(&(yes - no)), "{with_plan} {without}");
    }
    // Fewer rows ahead than forecast steps.
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

/// At the last origin the plan is known ahead, but the weather is not. Of the rows after the
/// origin, only the plan changes a forecast. Weather before the origin changes it, too.
#[test]
fn a_backtest_knows_plans_and_no_weather_ahead() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let text = std::fs::read_to_string(planned(directory.path(), 0, 1.0))?;
    let small = SMALL.replace("epochs = 30", "epochs = 2").replace("twin = true\n", "");
    // The bounds of forecasts after a number was changed in some rows of a column.
    let number = std::cell::Cell::new("7.5");
    let widths = |column: usize, rows: std::ops::Range<usize>| -> Result<Vec<u64>, Failure> {
        let line = |(place, line): (usize, &str)| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if place.checked_sub(1).is_some_and(|row| rows.contains(&row)) {
                cells[column] = number.get();
            }
            cells.join(",")
        };
        let file = directory.path().join("moved.csv");
        std::fs::write(&file, text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n"))?;
        let beside = "past = [\"weather\"]\nfuture = [\"plan\"]\n";
        let config = config("", &settings(&file, beside, 2).replace(SMALL, &small))?;
        let options = BacktestOptions { windows: 1, step: None, refit: 0 };
        let found = backtest(&config, options, &Interrupt::new(), |_| {})?;
        let bits = |s: &vdn_forecast::run::BacktestScores| [s.mse.to_bits(), s.width.to_bits()];
        Ok(found.by_step.iter().flatten().flat_map(bits).collect())
    };
    let (weather, plan, ahead) = (1, 2, ROWS - 2..ROWS);
    let unmoved = widths(weather, 0..0)?;
    assert_eq!(widths(weather, ahead.clone())?, unmoved);
    assert_ne!(widths(plan, ahead)?, unmoved);
    assert_ne!(widths(weather, ROWS - 3..ROWS - 2)?, unmoved);
    // There, not even a number outside the model's range stops a backtest.
    number.set("1e39");
    assert_eq!(widths(weather, ROWS - 2..ROWS)?, unmoved);
    let error = widths(weather, ROWS - 3..ROWS - 2).unwrap_err().to_string();
    assert!(error.contains("weather") && error.contains("moved.csv:399"), "{error}");
    Ok(())
}

/// Fill values in covariate columns are reported as in series, and numbers outside the model's
/// range are rejected before training.
#[test]
fn columns_beside_series_are_checked_as_series_are() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let text = std::fs::read_to_string(planned(directory.path(), 0, 1.0))?;
    let data = |row: usize, cell: &str| -> Result<vdn_forecast::data::Dataset, String> {
        let line = |(place, line): (usize, &str)| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if place == row + 1 {
                cells[1] = cell;
            }
            cells.join(",")
        };
        let file = directory.path().join("spoiled.csv");
        let lines: Vec<String> = text.lines().enumerate().map(line).collect();
        std::fs::write(&file, lines.join("\n")).map_err(|error| error.to_string())?;
        let config = RunConfig::from_toml(&settings(&file, "past = [\"weather\"]\n", 1));
        let config = config.map_err(|error| error.to_string())?;
        let table = config.data.load_table().map_err(|error| error.to_string())?;
        config.data.dataset(table).map_err(|error| error.to_string())
    };
    let noted = data(20, "-9999")?.notes().join("\n");
    assert!(noted.contains("weather: 1 cell is -9999, kept as numbers"), "{noted}");
    // The last row is the target of the last window, whose inputs end before it.
    assert!(data(ROWS - 1, "1e39").is_ok());
    // The row is in the test windows, so that it does not enter the standard deviation.
    let error = data(ROWS - 10, "1e39").unwrap_err();
    assert!(error.contains("weather") && error.contains("spoiled.csv:392 (test)"), "{error}");
    assert!(error.lines().count() == 1, "{error}");
    Ok(())
}

/// If covariate columns begin late, the series begins with them.
#[test]
fn a_series_begins_once_its_columns_have_begun() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let text = std::fs::read_to_string(planned(directory.path(), AHEAD, 1.0))?;
    let line = |(place, line): (usize, &str)| {
        let mut cells: Vec<&str> = line.split(',').collect();
        if (1..=30).contains(&place) {
            cells[1] = "";
        }
        cells.join(",")
    };
    let late = directory.path().join("late.csv");
    std::fs::write(&late, text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n"))?;
    let beside = "past = [\"weather\"]\nfuture = [\"plan\"]\n";
    let run = config("", &settings(&late, beside, 1))?;
    let table = run.data.load_table()?;
    assert_eq!((table.rows(), table.date(0, 0)), (ROWS - 30, Some(date(30))));
    let notes = table.notes.join("\n");
    assert!(
        notes.contains("sold: begins at 2020-01-31, once there are values of `weather`; 30 rows"),
        "{notes}"
    );
    // The windows are those of the file without these rows.
    let cut = directory.path().join("cut.csv");
    let rows = text.lines().enumerate().filter(|(place, _)| !(1..=30).contains(place));
    std::fs::write(&cut, rows.map(|(_, line)| line).collect::<Vec<_>>().join("\n"))?;
    let other = config("", &settings(&cut, beside, 1))?;
    let numbers = |config: &RunConfig| -> Result<Vec<f64>, Failure> {
        let data = config.data.dataset(config.data.load_table()?)?;
        let windows = &data.splits().train[..3];
        let mut numbers = vec![0.0; 3 * data.covariate_numbers()];
        data.fill_covariates(windows, 0, &mut numbers, |x| x)?;
        Ok(numbers)
    };
    assert_eq!(numbers(&run)?, numbers(&other)?);
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
        // Weather is not known ahead: it has no values after the last observation.
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
    // Rows ahead are neither a gap nor a part of the series.
    assert_eq!(load("past = [\"weather\"]\nfuture = [\"plan\"]\n")?.rows(), ROWS);
    let error = refusal("", "[data]\npast = 3\n");
    assert!(error.contains("data.past = 3: has to be a list"), "{error}");
    Ok(())
}

/// A run reports its covariates: the calendar, if requested and the file has dates. New rows
/// without dates are then rejected.
#[test]
fn a_run_says_what_its_windows_know() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let dated = planned(directory.path(), 0, 1.0);
    let plain = directory.path().join("plain.csv");
    let text = std::fs::read_to_string(&dated)?;
    let rows = text.lines().map(|line| line.split_once(',').map_or("", |(_, rest)| rest));
    std::fs::write(&plain, rows.collect::<Vec<_>>().join("\n"))?;
    let small = SMALL.replace("epochs = 30", "epochs = 1");
    let trained = |file: &Path, beside: &str, name: &str| -> Result<(String, PathBuf), Failure> {
        let out = directory.path().join(name);
        let text = settings(file, beside, 2).replace(SMALL, &small);
        let report = train_run(&config("", &text)?, Some(&out), |_, _| {})?;
        let expected: &[&str] = match name {
            "plain" => &["data.calendar adds nothing: the rows have no dates"],
            _ => &[],
        };
        assert_eq!(report.notes, expected);
        Ok((report.covariates, out))
    };
    let (known, run) = trained(&dated, "calendar = true\n", "dated")?;
    assert_eq!(known, "phases of week and year");
    let (known, _) = trained(&dated, "calendar = true\nfuture = [\"plan\"]\n", "planned")?;
    assert_eq!(known, "phases of week and year; future plan");
    for (file, beside, name) in [(&dated, "", "off"), (&plain, "calendar = true\n", "plain")] {
        let (known, out) = trained(file, beside, name)?;
        assert_eq!(known, "", "{name}");
        assert!(!forecast_run(&RunDirectory::open(&out)?, None)?.is_empty(), "{name}");
    }
    let error = forecast_run(&RunDirectory::open(&run)?, Some(&plain)).unwrap_err().to_string();
    assert!(error.contains("the data have no times: add a column of times"), "{error}");
    Ok(())
}

/// Conflicts between a series and its covariate columns are reported, with a remedy.
#[test]
fn columns_without_values_on_the_rows_of_a_series_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let load = |name: &str, text: &str, settings: &str| -> Result<SeriesTable, String> {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let file = path.display();
        let text = format!("[data]\nfile = \"{file}\"\npast = [\"weather\"]\n{settings}");
        RunConfig::from_toml(&text).unwrap().data.load_table().map_err(|error| error.to_string())
    };
    // `a` ends before the weather begins.
    let mut text = "date,weather,a,b\n".to_owned();
    for row in 0..90 {
        let weather = if row < 50 { String::new() } else { row.to_string() };
        let a = if row < 40 { (3 * row).to_string() } else { String::new() };
        text += &format!("{},{weather},{a},{}\n", date(row), 2 * row);
    }
    let error = load("ends.csv", &text, "fill = \"forward\"\n").unwrap_err();
    let expected = "column 3 (`a`): its values end in line 41, and those of `weather` begin in \
                    line 52: leave one of them out, or put zeros before the first one (--fill \
                    zero)";
    assert!(error.contains(expected), "{error}");
    assert_eq!(load("ends.csv", &text, "fill = \"zero\"\n").unwrap().names, ["a", "b"]);
    // The weather of `b` has no values at all.
    let mut text = "unique_id,ds,weather,y\n".to_owned();
    for (name, weather) in [("a", "1.5"), ("b", "")] {
        (0..30).for_each(|row| text += &format!("{name},{},{weather},{row}\n", date(row)));
    }
    for fill in ["", "fill = \"forward\"\n"] {
        let error = load("empty.csv", &text, fill).unwrap_err();
        let expected = "column 3 (`weather`) has no value in the rows of the series `b`: leave the \
                        column or the series out, or put zeros in (--fill zero)";
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(load("empty.csv", &text, "fill = \"zero\"\n").unwrap().names, ["a", "b"]);
}
