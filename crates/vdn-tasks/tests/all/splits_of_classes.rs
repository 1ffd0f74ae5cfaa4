//! Published splits of classification tasks: the scores of classes have their own names.

use std::fmt::Write as _;
use vdn_tasks::config::TaskConfig;
use vdn_tasks::run::{resume_task, train_task};
use vdn_tensor::parallel::Pool;
use vdn_train::TrainError;
use vdn_train::run::store::Interrupt;

#[test]
fn splits_of_classes_have_the_names_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("classes.csv");
    let mut text = "x,label\n".to_owned();
    for i in 0..60 {
        let _ = writeln!(text, "{},{}", i % 20, ["low", "high"][usize::from((i * 7) % 20 > 9)]);
    }
    std::fs::write(&file, text).unwrap();
    let splits = folder.path().join("splits.csv");
    std::fs::write(&splits, "split,test_rows\n0,1 2 3 4 5 6 7\n1,10 11 12 13 14 15\n").unwrap();
    let text = format!(
        "task = \"classification\"\n[data]\nfile = {file:?}\ntarget = [\"label\"]\nsplits = \
         {splits:?}\n[model]\nhidden = [8]\nunits = 2\nhead_hidden = 4\n[train]\nepochs = 2\n\
         twin = true\n[choice]\nfolds = 2\n"
    );
    let config = TaskConfig::from_toml(&text).unwrap();
    let out = folder.path().join("run");
    let report = train_task(&config, Some(&out), &Interrupt::new(), |_, _| {}).unwrap();

    let names = ["nll", "error", "brier", "ece_equal_width", "ece_equal_mass"];
    let csv = std::fs::read_to_string(out.join("splits.csv")).unwrap();
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(head[1..6], names, "{head:?}");
    assert_eq!(head[6..10], ["living", "epochs", "diverged", "twin_nll"], "{head:?}");
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let table = report.to_string();
    for part in ["NLL", "error %", "Brier", "ECE w", "ECE m"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    for absent in ["rmse", "crps", "coverage_90", "unit_share"] {
        assert!(summary["splits"].get(absent).is_none() && !csv.contains(absent), "{absent}");
    }
    assert!(!table.contains("RMSE") && !table.contains("CRPS"), "{table}");

    // Each mean is the mean over the splits, under the name of its score.
    for (split, rows) in [(0, 7.0), (1, 6.0)] {
        let mut one = config.clone();
        one.data.split = Some(split);
        let one = train_task(&one, None, &Interrupt::new(), |_, _| {}).unwrap();
        let scores = serde_json::to_value(&one.rows[0]).unwrap();
        let line: Vec<&str> = csv.lines().nth(split + 1).unwrap().split(',').collect();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(scores[name].as_f64(), line[at + 1].parse().ok(), "{name}");
        }
        // The error is a share of rows.
        let wrong = scores["error"].as_f64().unwrap() * rows;
        assert!((wrong - wrong.round()).abs() < 1e-9, "{wrong}");
    }
    for (at, name) in names.iter().enumerate() {
        let of = |split: usize| -> f64 {
            csv.lines().nth(split).unwrap().split(',').nth(at + 1).unwrap().parse().unwrap()
        };
        let found = &summary["splits"][name];
        let mean = f64::midpoint(of(1), of(2));
        assert!((found["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{name}: {found}");
        assert!(summary["splits"]["twin"][name]["se"].is_f64(), "{name}");
    }

    // A run of an older version, which wrote other names, is not resumed.
    let parts = folder.path().join("parts");
    let (interrupt, pool) = (Interrupt::new(), Pool::new(1).unwrap());
    let mut events = 0;
    let stopped = pool.run(|| {
        train_task(&config, Some(&parts), &interrupt, |_, _| {
            events += 1;
            if events == 3 {
                interrupt.request();
            }
        })
    });
    assert!(matches!(stopped, Err(TrainError::Interrupted { .. })), "{stopped:?}");
    let kept = std::fs::read_to_string(parts.join("splits.csv")).unwrap();
    std::fs::write(parts.join("splits.csv"), kept.replacen("error", "rmse", 1)).unwrap();
    let error = resume_task(&parts, &Interrupt::new(), |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("has not the columns of this configuration"), "{error}");
}
