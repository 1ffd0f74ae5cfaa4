//! Columns that are not what they are taken for. They are refused or noted, by name.

use std::path::{Path, PathBuf};
use vdn_tasks::config::TaskConfig;
use vdn_tasks::run::{PredictFrom, TaskReport, evaluate_task, predict_task, train_task};
use vdn_train::TrainError;
use vdn_train::run::RunFolder;
use vdn_train::run::store::Interrupt;

/// Writes a file with a header and one line per row.
fn table(folder: &Path, head: &str, rows: usize, line: impl Fn(usize) -> String) -> PathBuf {
    let file = folder.join("table.csv");
    let lines: String = (0..rows).map(|row| format!("{}\n", line(row))).collect();
    std::fs::write(&file, format!("{head}\n{lines}")).unwrap();
    file
}

fn config(task: &str, file: &Path, more: &str) -> TaskConfig {
    let text = format!(
        "task = {task:?}\n[data]\nfile = {file:?}\ntarget = [\"y\"]\n{more}\n[model]\nhidden = \
         [8]\nunits = 2\nhead_hidden = 4\n[train]\nepochs = 2\n[choice]\nfolds = 2\n"
    );
    TaskConfig::from_toml(&text).unwrap()
}

fn train(config: &TaskConfig, out: Option<&Path>) -> Result<TaskReport, TrainError> {
    train_task(config, out, &Interrupt::new(), |_, _| {})
}

fn refused(config: &TaskConfig) -> String {
    let error = train(config, None).expect_err("accepted").to_string();
    assert!(error.lines().count() == 1 && error.len() < 400, "{error}");
    error
}

#[test]
fn classes_of_single_rows_are_refused_and_decimals_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), "x,y", 200, |i| format!("{i},{}", i as f64 * 0.37 + 0.001));
    let error = refused(&config("classification", &file, ""));
    for part in ["the target `y` has 200 classes in 200 rows", "--task regression"] {
        assert!(error.contains(part), "{error}");
    }
    let file = table(folder.path(), "x,y", 200, |i| format!("{i},{}.5", i % 25));
    let report = train(&config("classification", &file, ""), None).unwrap();
    let note = "25 classes of `y` are numbers with decimals; `--task regression` predicts numbers";
    assert_eq!(report.notes, [note]);
    assert!(report.to_string().contains(note));
    // There are as few decimal classes here as there are grades.
    let file = table(folder.path(), "x,y", 200, |i| format!("{i},{}.5", i % 4));
    let report = train(&config("classification", &file, ""), None).unwrap();
    assert_eq!(report.notes, Vec::<String>::new());
}

#[test]
fn identifiers_are_told_and_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let head = "day,kind,x,y";
    let line = |i: usize| {
        format!("2021-{:02}-{:02},{},{i},{}", 1 + i / 28, 1 + i % 28, ["a", "b"][i % 2], 2 * i)
    };
    let file = table(folder.path(), head, 200, line);
    let report = train(&config("regression", &file, ""), None).unwrap();
    let [note] = &report.notes[..] else { panic!("{:?}", report.notes) };
    for part in ["`day` has 180 categories in 180 training rows", "`--ignore day` leaves it out"] {
        assert!(note.contains(part), "{note}");
    }
    assert_eq!(report.inputs, 180 + 2 + 1);
    let report = train(&config("regression", &file, "ignore = [\"day\"]"), None).unwrap();
    assert_eq!((report.notes.len(), report.inputs), (0, 3), "{:?}", report.notes);
    let file = table(folder.path(), "x,y,name", 1100, |i| format!("{i},{i},n{i}"));
    let error = refused(&config("regression", &file, ""));
    assert!(error.contains("column 3 (`name`): more than 1000 categories"), "{error}");
    assert!(error.contains("`--ignore name`"), "{error}");
}

#[test]
fn a_target_whose_squares_are_no_numbers_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    for scale in ["e-200", "e-102", "e101", "e200"] {
        let file = table(folder.path(), "x,y", 60, |i| format!("{i},{}{scale}", 2 * i + i % 3));
        let out = folder.path().join("run");
        let error = train(&config("regression", &file, ""), Some(&out)).unwrap_err().to_string();
        assert!(error.contains("the target `y` has the deviation "), "{scale}: {error}");
        assert!(!out.exists());
    }
    for scale in ["e-98", "e98"] {
        let file = table(folder.path(), "x,y", 60, |i| format!("{i},{}{scale}", 2 * i + i % 3));
        let report = train(&config("regression", &file, ""), None).unwrap();
        let row = serde_json::to_value(&report.rows[0]).unwrap();
        let factor: f64 = format!("1{scale}").parse().unwrap();
        // The network learns little in two epochs, so the errors are about as large as the targets,
        // which are between 0 and 120.
        let rmse = row["rmse"].as_f64().unwrap() / factor;
        assert!((0.5..500.0).contains(&rmse), "{scale}: {row}");
        assert!((0.0..=1.0).contains(&row["unit_share"].as_f64().unwrap()), "{scale}: {row}");
    }
}

#[test]
fn numbers_far_outside_of_the_training_rows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let splits = folder.path().join("splits.csv");
    std::fs::write(&splits, "split,test_rows\n0,7 20 30\n1,1 2 3\n").unwrap();
    let head = "x,y";
    let file = table(folder.path(), head, 80, |i| match i {
        7 => "1e9,5".to_owned(),
        _ => format!("{i},{}", 2 * i + i % 3),
    });
    let of_split = format!("splits = {splits:?}\nsplit = 0");
    let out = folder.path().join("run");
    let report = train(&config("regression", &file, &of_split), Some(&out)).unwrap();
    let place = format!("{}:9: column 1 (`x`): 1000000000.0 is 4.", file.display());
    let [note] = &report.notes[..] else { panic!("{:?}", report.notes) };
    assert!(note.starts_with(&place), "{note}");

    let run = RunFolder::open(&out).unwrap();
    let new = folder.path().join("new.csv");
    let predict = |text: &str| {
        std::fs::write(&new, text).unwrap();
        predict_task(&run, PredictFrom::Table(&new), None)
    };
    assert_eq!(predict("x\n12\n-90\n").unwrap().notes, Vec::<String>::new());
    let notes = predict("x\n12\n1e12\n-1e4\n").unwrap().notes;
    let [note] = &notes[..] else { panic!("{notes:?}") };
    let all = "2 numbers are far outside of the training rows, the farthest: ";
    assert!(note.starts_with(all) && note.contains("new.csv:3: column 1 (`x`)"), "{note}");
    let error = predict("x\n12\n1e300\n").unwrap_err().to_string();
    let part = "new.csv:3: `x`: 1e300 is too far from the training rows";
    assert!(error.contains(part), "{error}");
    std::fs::write(&new, "x,y\n12,25\n1e12,3\n").unwrap();
    let notes = evaluate_task(&run, Some(&new)).unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("new.csv:3"), "{notes:?}");
}

#[test]
fn what_is_missing_names_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), "x,w,y", 60, |i| match i {
        11 => format!(",1,{i}"),
        _ => format!("{i},{},{}", i * i % 7, 2 * i),
    });
    let error = refused(&config("regression", &file, ""));
    assert!(error.contains(":13: column 1 (`x`): the value is missing"), "{error}");
    assert!(error.contains("`--missing mean`") && !error.contains("fill"), "{error}");
    train(&config("regression", &file, "missing = \"mean\""), None).unwrap();
    let file = table(folder.path(), "x,y", 60, |i| match i {
        11 => format!("{i},"),
        _ => format!("{i},{}", 2 * i),
    });
    let error = refused(&config("regression", &file, "missing = \"mean\""));
    assert!(error.ends_with("the value is missing; every row needs its target"), "{error}");
}

#[test]
fn reports_of_rows_speak_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), "x,y", 80, |i| format!("{i},{}", 2 * i + i % 3));
    let report = train(&config("regression", &file, ""), None).unwrap().to_string();
    for part in ["(validation rows; ", "nats per row (by", "(test rows)"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("window"), "{report}");
}
