//! Runs on small tables: learning, output files, and resuming.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use vdn_tasks::config::TaskConfig;
use vdn_tasks::report::report_task;
use vdn_tasks::run::{
    PredictFrom, TaskReport, evaluate_task, predict_task, resume_task, train_task,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::TrainError;
use vdn_train::run::RunFolder;
use vdn_train::run::store::Interrupt;

/// A table with two features, a category, and a target with noise of the deviation 0.5:
/// `y = 10 + 2 x1 + (3 if kind = b) + 0.5 e`.
fn table(folder: &Path, rows: usize) -> PathBuf {
    let file = folder.join("table.csv");
    let mut noise = vec![0.0_f64; 3 * rows];
    NoiseKey::new(11, 0, 0).fill_normal(0, &mut noise);
    let mut text = "x1,kind,y,x2\n".to_owned();
    for (i, e) in noise.chunks_exact(3).enumerate() {
        let kind = ["a", "b", "c"][i * 7 % 3];
        let y = 10.0 + 2.0 * e[0] + if kind == "b" { 3.0 } else { 0.0 } + 0.5 * e[2];
        let _ = writeln!(text, "{},{kind},{y},{}", e[0], e[1]);
    }
    std::fs::write(&file, text).unwrap();
    file
}

fn config(file: &Path, more: &str) -> TaskConfig {
    let text = format!(
        "task = \"regression\"\n[data]\nfile = {file:?}\ntarget = [\"y\"]\ntest = 0.25\n[model]\n\
         hidden = [16]\nunits = 4\nhead_hidden = 8\nevaluate_samples = 16\n[train]\nepochs = 60\n\
         patience = 20\nlearning_rate = 3e-3\n{more}"
    );
    TaskConfig::from_toml(&text).unwrap()
}

fn train(config: &TaskConfig, out: Option<&Path>) -> Result<TaskReport, TrainError> {
    let pool = Pool::new(2).unwrap();
    pool.run(|| train_task(config, out, &Interrupt::new(), |_, _| {}))
}

/// The report as JSON without times.
fn without_times(report: &TaskReport) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap();
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(all) => {
                all.retain(|key, _| key != "seconds");
                all.values_mut().for_each(strip);
            }
            serde_json::Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn a_run_learns_writes_predicts_and_is_scored_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), 400);
    let out = folder.path().join("run");
    let mut settings = config(&file, "twin = true\n[choice]\nfolds = 3\n");
    settings.ensemble = 2;
    let report = train(&settings, Some(&out)).unwrap();
    let own = serde_json::to_value(&report).unwrap();
    let (model, twin, both) = (&own["rows"][0], &own["rows"][2], &own["rows"][3]);
    assert_eq!(both["name"], "ensemble of 2 twins");
    assert_eq!(both["parameters"].as_u64(), twin["parameters"].as_u64().map(|n| 2 * n));
    // Networks that disagree express it, and their mean is no worse than the worst of them.
    assert!(both["unit_share"].as_f64().unwrap() > 0.0, "the same network twice");
    for row in [model, twin, both] {
        // The noise alone has an RMSE of 0.5, an NLL of ln(0.5 sqrt(2 pi e)) = 0.726 and a CRPS of
        // 0.5 / sqrt(pi) = 0.282. On 100 test rows the NLL's standard error is 0.07, the RMSE's
        // 0.035. Three of them are allowed, and 0.1 for what 300 rows cannot teach.
        assert!(row["rmse"].as_f64().unwrap() < 0.5 + 0.105 + 0.1, "{row}");
        assert!(row["nll"].as_f64().unwrap() < 0.726 + 0.21 + 0.1, "{row}");
        assert!(row["crps"].as_f64().unwrap() > 0.2, "better than the truth: {row}");
        let covered = row["coverage_90"].as_f64().unwrap();
        assert!((0.78..=0.99).contains(&covered), "{row}");
    }
    assert_eq!(twin["unit_share"], 0.0);
    assert_eq!((&own["units"]["units"], &own["units"]["living"]), (&4.into(), &4.into()));
    for name in [
        "config.toml",
        "encoding.json",
        "choice.json",
        "units.csv",
        "history.csv",
        "weights.safetensors",
        "summary.json",
        "manifest.json",
        "twin-weights.safetensors",
    ] {
        assert!(out.join(name).exists(), "{name}");
    }
    assert!(!out.join("checkpoints").exists());
    // Scores from the stored run: the same numbers, except for those that only training knows.
    let run = RunFolder::open(&out).unwrap();
    let again = serde_json::to_value(evaluate_task(&run, None).unwrap()).unwrap();
    for key in ["nll", "rmse", "crps", "coverage_50", "unit_share"] {
        assert_eq!(again["rows"][0][key], own["rows"][0][key], "{key}");
    }
    assert_eq!(again["units"]["living"], own["units"]["living"]);
    // On other rows, by name, in another order of columns, and with a new category.
    let other = folder.path().join("other.csv");
    std::fs::write(&other, "kind,extra,x2,x1\nb,1,0.1,1.0\nnew,1,0.2,-1.0\n").unwrap();
    let csv = predict_task(&run, PredictFrom::Table(&other), None).unwrap().csv;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "row,y_mean,y_q05,y_q25,y_q50,y_q75,y_q95,y_units,kl");
    let cells: Vec<f64> = lines[1].split(',').map(|cell| cell.parse().unwrap()).collect();
    // The true value is 15; the tolerance is three times the possible RMSE of a mean with 300 rows.
    assert!((cells[1] - 15.0).abs() < 0.6, "{}", lines[1]);
    assert!(cells[2] < cells[3] && cells[3] < cells[4] && cells[5] < cells[6], "{}", lines[1]);
    assert_eq!(lines.len(), 3);
    let error = evaluate_task(&run, Some(&other)).unwrap_err().to_string();
    assert!(error.contains("no column of the targets"), "{error}");
    std::fs::write(&other, "kind,x2,x1,y\nb,0.1,1.0,15\nb,0.1,0,13.5\n").unwrap();
    let scored = evaluate_task(&run, Some(&other)).unwrap();
    assert!(serde_json::to_value(&scored).unwrap()["rows"][0]["rmse"].as_f64().unwrap() < 1.0);
    let page = report_task(&run).unwrap();
    for part in ["observed against predicted", "Number of epochs", "units' share"] {
        assert!(page.contains(&vdn_train::report::html::escape(part)), "{part}");
    }
    // Changed data are refused.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("10.", "70.", 30)).unwrap();
    let error = evaluate_task(&run, None).unwrap_err().to_string();
    assert!(error.contains("changed since"), "{error}");
}

#[test]
fn a_run_ends_alike_on_any_threads_and_after_interruptions() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), 120);
    let config = config(&file, "twin = true\ncheckpoint_every_steps = 7\n[choice]\nfolds = 2\n");
    let whole = folder.path().join("whole");
    let report = train(&config, Some(&whole)).unwrap();
    let one = Pool::new(1).unwrap();
    let alone = one.run(|| train_task(&config, None, &Interrupt::new(), |_, _| {})).unwrap();
    assert_eq!(without_times(&report), without_times(&alone));
    // Interrupted again and again after a number of steps, until it is done.
    let parts = folder.path().join("parts");
    let mut rounds = 0;
    let end = loop {
        let interrupt = Interrupt::new();
        let mut steps = 0;
        let progress = |stage: vdn_tasks::run::Stage, event: vdn_train::train::Progress<'_>| {
            steps += usize::from(matches!(event, vdn_train::train::Progress::Step { .. }));
            if steps == 40 && stage != vdn_tasks::run::Stage::Choice {
                interrupt.request();
            }
        };
        let result = match rounds {
            0 => train_task(&config, Some(&parts), &interrupt, progress),
            _ => resume_task(&parts, &interrupt, progress),
        };
        rounds += 1;
        match result {
            Ok(report) => break report,
            Err(TrainError::Interrupted { .. }) => assert!(rounds < 50),
            Err(error) => panic!("{error}"),
        }
    };
    assert!(rounds > 1, "it was never interrupted");
    assert_eq!(without_times(&report), without_times(&end));
    for name in [
        "weights.safetensors",
        "twin-weights.safetensors",
        "history.csv",
        "units.csv",
        "choice.json",
    ] {
        let bytes = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(bytes(&whole) == bytes(&parts), "{name} differs");
    }
    let error = resume_task(&parts, &Interrupt::new(), |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("finished"), "{error}");
}

#[test]
fn all_published_splits_are_run_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), 60);
    let splits = folder.path().join("splits.csv");
    std::fs::write(
        &splits,
        "split,test_rows\n0,1 2 3 4 5 6\n1,10 11 12 13 14 15\n2,0 20 30 40 50 59\n",
    )
    .unwrap();
    let mut config = config(&file, "twin = true\n[choice]\nfolds = 2\n");
    (config.train.epochs, config.ensemble) = (4, 2);
    config.data.splits = Some(splits.clone());
    let out = folder.path().join("run");
    let report = train(&config, Some(&out)).unwrap();
    let own = serde_json::to_value(&report).unwrap();
    let [first, second]: [f64; 2] = [0, 1].map(|split| {
        let mut one = config.clone();
        one.data.split = Some(split);
        serde_json::to_value(train(&one, None).unwrap()).unwrap()["rows"][0]["nll"]
            .as_f64()
            .unwrap()
    });
    let csv = std::fs::read_to_string(out.join("splits.csv")).unwrap();
    let nll: Vec<f64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(nll[..2], [first, second], "a split alone comes to the same");
    let mean = nll.iter().sum::<f64>() / 3.0;
    let se = (nll.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0 / 3.0).sqrt();
    let found = &own["splits"]["nll"];
    assert!((found["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{found}");
    assert!((found["se"].as_f64().unwrap() - se).abs() < 1e-12, "{found}");
    for key in ["rmse", "crps"] {
        assert!(own["splits"][key]["se"].is_f64() && own["splits"]["twin"][key]["mean"].is_f64());
        assert!(own["splits"]["ensemble"][key]["mean"].is_f64());
    }
    // Interrupted before the second group: the first group is kept.
    let parts = folder.path().join("parts");
    let (interrupt, pool) = (Interrupt::new(), Pool::new(1).unwrap());
    let mut events = 0;
    let stopped = pool.run(|| {
        train_task(&config, Some(&parts), &interrupt, |_, _| {
            events += 1;
            if events == 2 {
                interrupt.request();
            }
        })
    });
    assert!(matches!(stopped, Err(TrainError::Interrupted { .. })), "{stopped:?}");
    let end = resume_task(&parts, &Interrupt::new(), |_, _| {}).unwrap();
    assert_eq!(without_times(&end), without_times(&report));
    let run = RunFolder::open(&out).unwrap();
    let error = evaluate_task(&run, None).unwrap_err().to_string();
    assert!(error.contains("kept no weights"), "{error}");
}

#[test]
fn units_say_that_the_size_of_the_noise_is_not_known() {
    // y = x + noise with the deviation 0.1, or 1 in every fifth row, which no input indicates. A
    // single normal distribution has at best the deviation 0.456: 0.63 nats. The mixture of both
    // has 0.07.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tails.csv");
    let mut noise = vec![0.0_f64; 800];
    NoiseKey::new(5, 0, 0).fill_normal(0, &mut noise);
    let mut text = "x,y\n".to_owned();
    for (i, e) in noise.chunks_exact(2).enumerate() {
        let y = e[0] + if i % 5 == 0 { 1.0 } else { 0.1 } * e[1];
        let _ = writeln!(text, "{},{y}", e[0]);
    }
    std::fs::write(&file, text).unwrap();
    let mut config = config(&file, "twin = true\n[choice]\nfolds = 2\n");
    config.train.epochs = 100;
    // With few samples, a mixture seldom has one that is wide enough.
    config.model.samples = 16;
    let report = serde_json::to_value(train(&config, None).unwrap()).unwrap();
    let nll = |row: usize| report["rows"][row]["nll"].as_f64().unwrap();
    assert!(nll(0) < nll(2) - 0.25, "units {}, twin {}", nll(0), nll(2));
    assert!(nll(0) < 0.5, "{}", nll(0));
}

#[test]
fn classes_are_learned_and_decided_on() {
    // Two features. The class names the larger feature, or is c if both are negative. Every tenth
    // row has another class, so no network can be right on more than 90 % of such rows.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("classes.csv");
    let mut noise = vec![0.0_f64; 1000];
    NoiseKey::new(6, 0, 0).fill_normal(0, &mut noise);
    let mut text = "x1,x2,label\n".to_owned();
    for (i, e) in noise.chunks_exact(2).enumerate() {
        let class = match e {
            [a, b] if a.max(*b) < 0.0 => 2,
            [a, b] if a > b => 0,
            _ => 1,
        };
        let class = if i % 10 == 9 { (class + 1) % 3 } else { class };
        let _ = writeln!(text, "{},{},{}", e[0], e[1], ["a", "b", "c"][class]);
    }
    std::fs::write(&file, text).unwrap();
    let text = format!(
        "task = \"classification\"\n[data]\nfile = {file:?}\ntarget = [\"label\"]\ntest = 0.4\n[model]\n\
         hidden = [16]\nunits = 4\nhead_hidden = 8\n[train]\nepochs = 60\npatience = 20\nbatch = 32\n\
         learning_rate = 3e-3\ntwin = true\n[choice]\nfolds = 2\n"
    );
    let out = folder.path().join("run");
    let report = train(&TaskConfig::from_toml(&text).unwrap(), Some(&out)).unwrap();
    let own = serde_json::to_value(&report).unwrap();
    for row in [0, 2].map(|row| &own["rows"][row]) {
        let of = |key: &str| row[key].as_f64().unwrap();
        // 10 % of 200 rows cannot be right. Three standard errors of this share are 6 %, and 5 %
        // are allowed for borders learned from 300 rows.
        assert!(of("error") < 0.21, "{row}");
        assert!((of("accuracy") + of("error") - 1.0).abs() < 1e-12);
        // ln 10 / 10 + 0.9 ln(1 / 0.9) + 0.1 ln 2 = 0.39 at best.
        assert!(of("nll") < 0.85 && of("nll") > 0.2, "{row}");
        assert!(of("brier") < 0.4, "{row}");
        assert!(of("ece_equal_width") < 0.15 && of("ece_equal_mass") < 0.15, "{row}");
        assert!(of("risk_coverage_least") <= of("risk_coverage_area"), "{row}");
        assert!(of("risk_coverage_area") < of("error") + 0.05, "{row}");
        assert!(of("mutual_information") <= of("entropy"), "{row}");
        assert!(of("risk_80") <= of("error") + 0.05, "{row}");
    }
    assert_eq!(own["rows"][2]["mutual_information"], 0.0, "a twin has one sample");
    assert_eq!(own["outputs"], serde_json::json!(["a", "b", "c"]));
    let run = RunFolder::open(&out).unwrap();
    let again = serde_json::to_value(evaluate_task(&run, None).unwrap()).unwrap();
    assert_eq!(again["rows"][0]["nll"], own["rows"][0]["nll"]);
    assert!(report_task(&run).unwrap().contains("ECE, equal mass"));
    let other = folder.path().join("other.csv");
    std::fs::write(&other, "x2,x1\n-1,2\n0.4,0.4\n").unwrap();
    let costs = vdn_tasks::evaluate::Costs { abstain: 0.3, defer: None };
    let csv = predict_task(&run, PredictFrom::Table(&other), Some(costs)).unwrap().csv;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "row,label,p_a,p_b,p_c,entropy,mutual_information,kl,decision,expected_cost"
    );
    assert!(lines[1].starts_with("0,a,") && lines[1].contains(",answer,"), "{csv}");
    // On the border of two classes: a cost of at least 0.45 for the answer, compared with 0.3.
    assert!(lines[2].ends_with(",abstain,0.3"), "{csv}");
    let bad = vdn_tasks::evaluate::Costs { abstain: -1.0, defer: None };
    assert!(predict_task(&run, PredictFrom::Table(&other), Some(bad)).is_err());
}

#[test]
fn what_is_wrong_is_found_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = table(folder.path(), 40);
    let splits = folder.path().join("splits.csv");
    let missing = folder.path().join("missing.csv");
    std::fs::write(&missing, "a,y\n1,2\n,3\n4,5\n2,2\n6,1\n").unwrap();
    let base = config(&file, "");
    let with = |change: &dyn Fn(&mut TaskConfig)| {
        let mut config = base.clone();
        change(&mut config);
        let out = folder.path().join("out");
        let error = train(&config, Some(&out)).unwrap_err().to_string();
        assert!(!out.exists(), "{error}");
        error
    };
    let write_splits = |text: &str| std::fs::write(&splits, text).unwrap();
    let cases: Vec<(String, &str)> = vec![
        (with(&|c| c.data.target = vec!["z".into()]), "`z`"),
        (with(&|c| c.data.target = vec!["kind".into()]), "`kind` holds texts"),
        (with(&|c| c.data.target = vec![]), "data.target: names no column"),
        (with(&|c| c.data.test = 1.0), "data.test = 1: has to be in (0, 1)"),
        (with(&|c| c.data.split = Some(1)), "data.split: there is no file of splits"),
        (with(&|c| c.data.file = Some(missing.clone())), "missing.csv:3: column 1 (`a`)"),
        (with(&|c| c.model.likelihood = vdn_tasks::network::Likelihood::Poisson), "is not a count"),
        (with(&|c| c.choice.folds = 21), "choice.folds = 21"),
        (with(&|c| c.ensemble = 5), "ensemble: is one of twins; it needs train.twin = true"),
        (with(&|c| c.ensemble = 1), "ensemble = 1: has to be 0, or from 2 to 20"),
        (with(&|c| c.data.file = None), "data.file: a task needs a file"),
        (
            with(&|c| {
                write_splits("split,test_rows\n0,1 2 40\n");
                c.data.splits = Some(splits.clone());
            }),
            "line 2, column test_rows: there is no row 40: the table has 40",
        ),
        (
            with(&|c| {
                write_splits("split,test_rows\n0,1 2 1\n");
                c.data.splits = Some(splits.clone());
            }),
            "row 1 is named twice",
        ),
        (
            with(&|c| {
                write_splits("split,test_rows\n0,1 2\n");
                (c.data.splits, c.data.split) = (Some(splits.clone()), Some(1));
            }),
            "data.split = 1: there are 1 splits",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}\n   not {expected}");
    }
}
