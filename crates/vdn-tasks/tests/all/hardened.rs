//! Runs that would exceed their memory limit, and runs that diverge.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use vdn_tasks::config::TaskConfig;
use vdn_tasks::report::report_task;
use vdn_tasks::run::{PredictFrom, evaluate_task, predict_task, resume_task, train_task};
use vdn_train::run::RunFolder;
use vdn_train::run::store::{DiskFiles, Interrupt, Manifest};
use vdn_train::train::Progress;

/// A table of `y = 2 x` and a column that repeats.
fn table(folder: &Path) -> PathBuf {
    let file = folder.join("line.csv");
    let rows: String = (0..80).map(|i| format!("{i},{}\n", 2 * i + i * i % 7)).collect();
    std::fs::write(&file, format!("x,y\n{rows}")).unwrap();
    file
}

fn config(file: &Path, train: &str, more: &str) -> TaskConfig {
    let text = format!(
        "task = \"regression\"\n[data]\nfile = {file:?}\ntarget = [\"y\"]\ntest = 0.25\n[model]\n\
         hidden = [8]\nunits = 4\nhead_hidden = 8\n[train]\nepochs = 3\n{train}\n[choice]\n\
         folds = 2\n{more}"
    );
    TaskConfig::from_toml(&text).unwrap()
}

fn expect_refusal<R>(result: Result<R, impl Display>, of: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{of}: accepted")).to_string();
    for part in ["the run takes about ", "more than the 1 MB that it may", "raise run.memory"] {
        assert!(error.contains(part) && error.lines().count() == 1, "{of}: {error}");
    }
}

/// Operations on a stored run are refused if the machine does not have enough memory.
fn expect_no_room<R>(result: Result<R, impl Display>, of: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{of}: accepted")).to_string();
    for part in ["this takes about ", "a machine with more free memory is needed"] {
        assert!(error.contains(part) && error.lines().count() == 1, "{of}: {error}");
    }
}

#[test]
fn a_run_beyond_its_memory_is_refused_before_anything_is_computed() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = table(data.path());
    let good = config(&file, "", "");
    // A megabyte is less than the program itself needs.
    let refused = config(&file, "", "[run]\nmemory = 0.001\n");
    let out = folder.path().join("deep").join("run");
    let mut events = 0;
    let interrupt = Interrupt::new();
    expect_refusal(train_task(&refused, Some(&out), &interrupt, |_, _| events += 1), "train");
    assert_eq!(events, 0, "something was told");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a directory is left");

    // The request decides: with this many samples, the default limit is not enough either.
    let mut huge = good.clone();
    huge.model.evaluate_samples = 1 << 34;
    let error = train_task(&huge, Some(&out), &interrupt, |_, _| events += 1).unwrap_err();
    let error = error.to_string();
    let part = "choose a smaller model.evaluate_samples";
    assert!(error.contains(part) && events == 0 && !out.exists(), "{error}");
    huge.model.evaluate_samples = 32;
    huge.diagnostics.samples = 1 << 34;
    let error = train_task(&huge, Some(&out), &interrupt, |_, _| events += 1).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("choose a smaller diagnostics.samples"), "{error}");
    assert!(events == 0 && !out.exists());

    // Every operation on a stored run is refused if the machine does not have enough memory.
    let mut first = None;
    train_task(&good, Some(&out), &interrupt, |_, event| {
        first.get_or_insert_with(|| match event {
            Progress::Memory(estimate) => estimate.to_string(),
            other => format!("{other:?}"),
        });
    })
    .unwrap();
    assert!(first.as_ref().unwrap().starts_with("memory    about "), "{first:?}");
    let store = |config: &TaskConfig| {
        std::fs::write(out.join("config.toml"), config.to_toml().unwrap()).unwrap();
        let mut manifest = Manifest::read(&DiskFiles, &out).unwrap();
        manifest.add_existing(&DiskFiles, &out, "config.toml").unwrap();
        manifest.write(&DiskFiles, &out).unwrap();
    };
    let run = RunFolder::open(&out).unwrap();
    // Neither a small limit during training nor the samples of a probe, which predictions do not
    // make, prevent predictions.
    let mut probed = refused.clone();
    probed.diagnostics.samples = 1 << 34;
    store(&probed);
    predict_task(&run, PredictFrom::Table(&file), None).unwrap();
    expect_no_room(evaluate_task(&run, None), "evaluate with a large probe");
    huge.diagnostics.samples = good.diagnostics.samples;
    huge.model.evaluate_samples = 1 << 34;
    store(&huge);
    expect_no_room(evaluate_task(&run, None), "evaluate");
    expect_no_room(evaluate_task(&run, Some(&file)), "evaluate --data");
    expect_no_room(report_task(&run), "report");
    expect_no_room(predict_task(&run, PredictFrom::Table(&file), None), "predict");

    // A stopped run is not resumed here.
    let stopped = folder.path().join("stopped");
    let result = train_task(&good, Some(&stopped), &interrupt, |_, event| {
        if matches!(event, Progress::Step { .. }) {
            interrupt.request();
        }
    });
    assert!(result.is_err());
    std::fs::write(stopped.join("config.toml"), refused.to_toml().unwrap()).unwrap();
    let none = Interrupt::new();
    expect_refusal(resume_task(&stopped, &none, |_, _| events += 1), "resume");
    assert_eq!(events, 0);
}

#[test]
fn a_learning_rate_that_is_too_large_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path());
    let splits = folder.path().join("splits.csv");
    std::fs::write(&splits, "split,test_rows\n0,1 2 3 4 5 6\n1,10 11 12 13 14 15\n").unwrap();
    let warnings = |rate: &str, of_splits: bool| -> Vec<String> {
        let mut config = config(&file, &format!("learning_rate = {rate}\ntwin = true\n"), "");
        config.data.splits = of_splits.then(|| splits.clone());
        let report = train_task(&config, None, &Interrupt::new(), |_, _| {}).unwrap();
        let table = report.to_string();
        let own = report.notes.into_iter().filter(|note| note.starts_with("WARNING: "));
        let own: Vec<String> = own.collect();
        assert!(own.iter().all(|note| table.contains(note.as_str())), "{table}");
        own
    };
    for of_splits in [false, true] {
        assert_eq!(warnings("1e-3", of_splits), Vec::<String>::new());
        let found = warnings("1.0", of_splits);
        assert_eq!(found.len(), 2, "{found:?}");
        for (note, name) in found.iter().zip(["variational units", "deterministic twin"]) {
            let start = format!("WARNING: {name}: training has diverged");
            assert!(note.starts_with(&start) && note.lines().count() == 1, "{note}");
        }
    }
}
