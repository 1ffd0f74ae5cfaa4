//! Categories of series: they are learned, kept with a run, and used only for series with windows.

use crate::runs::covariates::{ROWS, SMALL, date, mse, normal};
use crate::runs::support::{Failure, config};
use std::path::{Path, PathBuf};
use vdn_forecast::forecaster::Forecaster;
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};

/// Long form: two shops. One sells 2 more on Mondays, the other 2 less.
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
    // The shops differ by the product of category and day, which the context can represent. When a
    // Monday is forecast, neither input window contains the previous Monday.
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

/// The category of a series without windows is not part of the model, and forecasts skip the
/// series.
#[test]
fn the_category_of_a_series_without_windows_does_not_count() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut text = std::fs::read_to_string(shops(directory.path(), None))?;
    // Long enough to be forecast, too short for windows in each split.
    (0..9).for_each(|row| text += &format!("c,{},harbour,{row}\n", date(row)));
    let file = directory.path().join("three.csv");
    std::fs::write(&file, text)?;
    let small = SMALL.replace("epochs = 30", "epochs = 1").replace("twin = true\n", "");
    let path = file.display();
    let text = format!(
        "[data]\nfile = \"{path}\"\ninput_len = 2\nhorizon = 1\nseason = 7\n\
         static = [\"kind\"]\n{small}"
    );
    let run = config("", &text)?;
    let data = run.data.dataset(run.data.load_table()?)?;
    assert_eq!(data.covariates().statics[0].categories, ["station", "street"]);
    let out = directory.path().join("run");
    train_run(&run, Some(&out), |_, _| {})?;
    let forecasts = vdn_forecast::run::forecast_run_by(
        &RunDirectory::open(&out)?,
        vdn_forecast::run::ForecastOptions::default(),
        vdn_forecast::evaluate::Inference::Samples,
    )?;
    assert_eq!(forecasts.csv.lines().count(), 3, "{}", forecasts.csv);
    let notes = forecasts.notes.join("\n");
    assert!(notes.contains("c: the model was not trained on its `kind`, \"harbour\""), "{notes}");
    Ok(())
}

/// A series with its own category, `c`, in long form. `cell(row)` writes its values.
fn with_harbour(folder: &Path, rows: usize, cell: impl Fn(usize) -> String) -> (PathBuf, String) {
    let mut text = std::fs::read_to_string(shops(folder, None)).unwrap();
    (0..rows).for_each(|row| text += &format!("c,{},harbour,{}\n", date(row), cell(row)));
    let file = folder.join("harbour.csv");
    std::fs::write(&file, text).unwrap();
    let small = SMALL.replace("epochs = 30", "epochs = 1").replace("twin = true\n", "");
    let path = file.display();
    let text = format!(
        "[data]\nfile = \"{path}\"\ninput_len = 2\nhorizon = 1\nseason = 7\n\
         static = [\"kind\"]\n{small}"
    );
    (file, text)
}

/// Runs of earlier versions include the category of a series that is too short for windows. They
/// are evaluated with it.
#[test]
fn a_run_keeps_categories_that_it_was_trained_with() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("run");
    // The scale of a constant is the same for few and for many rows.
    let (_, text) = with_harbour(directory.path(), ROWS, |_| "3".to_owned());
    train_run(&config("", &text)?, Some(&out), |_, _| {})?;
    let run = RunDirectory::open(&out)?;
    assert!(evaluate_run(&run)?.rows[0].crps.is_finite());
    let (_, text) = with_harbour(directory.path(), 9, |_| "3".to_owned());
    let now = config("", &text)?;
    let data = now.data.dataset(now.data.load_table()?)?;
    assert_eq!(data.covariates().statics[0].categories, ["station", "street"]);
    let report = evaluate_run(&run)?;
    assert!(report.rows[0].crps.is_finite(), "{report}");
    // A category that the run does not have still means that the file is another one.
    let file = directory.path().join("harbour.csv");
    std::fs::write(&file, std::fs::read_to_string(&file)?.replace("street", "airport"))?;
    let error = evaluate_run(&run).unwrap_err().to_string();
    assert!(error.contains("not the covariates of the data"), "{error}");
    Ok(())
}

/// The category of a series whose training windows are all left out is not part of the model,
/// either.
#[test]
fn the_category_of_a_series_whose_windows_are_left_out_does_not_count() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    // One value at the beginning, and then none before the test windows.
    let (_, text) = with_harbour(directory.path(), ROWS, |row| match row {
        0 | 350.. => format!("{}", row % 5),
        _ => String::new(),
    });
    let masked = config("", &text.replace("horizon = 1\n", "horizon = 1\nfill = \"mask\"\n"))?;
    let data = masked.data.dataset(masked.data.load_table()?)?;
    assert_eq!(data.covariates().statics[0].categories, ["station", "street"]);
    let splits = data.splits();
    let all = splits.train.iter().chain(&splits.validation).chain(&splits.test);
    assert!(all.into_iter().all(|window| window.series < 2));
    let notes = data.notes().join("\n");
    let expected = "c: no window for training has its `kind`, \"harbour\": left out";
    assert!(notes.contains(expected), "{notes}");
    Ok(())
}
