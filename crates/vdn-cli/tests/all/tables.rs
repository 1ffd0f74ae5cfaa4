//! Tasks on the rows of a table.

use super::support::{text, vdn};
use std::path::Path;
use std::process::Output;

#[test]
fn the_rows_of_a_table_are_learned_predicted_and_scored() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (file, new, out) = (path("table.csv"), path("new.csv"), path("run"));
    let rows: String = (0..80)
        .map(|i| format!("{},{},{}\n", i % 9, ["a", "b"][i % 2], 3 * (i % 9) + i % 4))
        .collect();
    std::fs::write(&file, format!("size,kind,price\n{rows}")).unwrap();
    std::fs::write(&new, "kind,size\na,3\nb,8\n").unwrap();
    let small =
        ["--units", "4", "--epochs", "3", "--set", "model.hidden=[8]", "--set", "choice.folds=2"];
    let train: Vec<&str> = [
        "train",
        "--task",
        "regression",
        "--data",
        &file,
        "--target",
        "price",
        "--out",
        &out,
        "--twin",
    ]
    .iter()
    .chain(&small)
    .copied()
    .collect();
    let output = vdn(&train);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for part in ["variational units", "deterministic twin", "RMSE", "of 4 units living"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }
    let first = |output: &Output| -> String {
        let table = text(&output.stdout);
        let row = table.lines().find(|line| line.starts_with("variational units")).unwrap();
        row.split_whitespace().take(9).collect::<Vec<_>>().join(" ")
    };
    let evaluated = vdn(&["evaluate", &out]);
    assert!(evaluated.status.success(), "{}", text(&evaluated.stderr));
    assert_eq!(first(&evaluated), first(&output));
    let predicted = vdn(&["predict", &out, "--data", &new]);
    assert!(predicted.status.success(), "{}", text(&predicted.stderr));
    assert_eq!(text(&predicted.stdout).lines().count(), 3, "{}", text(&predicted.stdout));
    let page = vdn(&["report", &out]);
    assert!(page.status.success(), "{}", text(&page.stderr));
    assert!(Path::new(&out).join("report.html").exists());
    // Commands refuse runs of the other kind and name the right command.
    for (arguments, wanted) in [
        (vec!["forecast", &out], "is the run of a task"),
        (vec!["evaluate", &out, "--moments"], "--moments that of a forecast"),
        (vec!["train", "--resume", &out], "finished"),
        (vec!["predict", &out, "--data", &file, "--threads", "1000"], "has to be at most"),
    ] {
        let output = vdn(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = text(&output.stderr);
        assert!(message.contains(wanted), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
