//! The program as a user runs it: files, exit codes, one-line errors, and the same bytes on any number of threads.

use std::path::Path;
use std::process::{Command, Output};
use vdn_train::run::store::{DiskFiles, Manifest};

/// Small enough to train in seconds without a release build.
const SMALL: [&str; 12] = [
    "--input-len",
    "24",
    "--horizon",
    "4",
    "--units",
    "16",
    "--max-windows",
    "64,16,16",
    "--evaluate-samples",
    "8",
    "--epochs",
    "2",
];

fn vdn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vdn")).args(arguments).output().expect("the program starts")
}

fn train(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().expect("a plain path");
    let arguments: Vec<&str> =
        ["train", "--out", out].iter().chain(&SMALL).chain(more).copied().collect();
    vdn(&arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_run_is_the_same_on_one_and_two_threads_and_can_be_used_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let runs = ["1", "2"].map(|threads| {
        let out = directory.path().join(threads);
        let output = train(&out, &["--demo", "--twin", "--threads", threads]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let table = text(&output.stdout);
        for row in [
            "variational units",
            "deterministic twin",
            "ridge",
            "seasonal naive, 365 steps",
            "L 24, H 4",
        ] {
            assert!(table.contains(row), "{row} is missing:\n{table}");
        }
        out
    });
    for file in [
        "history.csv",
        "weights.safetensors",
        "twin-history.csv",
        "twin-weights.safetensors",
        "scaler.json",
        "units.npy",
        "units.csv",
    ] {
        let [one, two] = [0, 1].map(|i| std::fs::read(runs[i].join(file)).unwrap());
        assert!(one == two, "{file} depends on the threads");
    }
    let run = runs[0].to_str().unwrap();
    let evaluated = vdn(&["evaluate", run]);
    assert!(evaluated.status.success(), "{}", text(&evaluated.stderr));
    let numbers = |table: &str| -> String {
        let row = table.lines().find(|line| line.starts_with("variational units")).unwrap();
        row.split_whitespace().take(8).collect::<Vec<_>>().join(" ")
    };
    let trained = train(&directory.path().join("again"), &["--demo"]);
    assert_eq!(numbers(&text(&evaluated.stdout)), numbers(&text(&trained.stdout)));
    for output in [&evaluated, &trained] {
        let table = text(&output.stdout);
        assert!(table.contains(" of 16 units living"), "{table}");
        assert!(table.contains("nats per window"), "{table}");
    }
    let forecast = vdn(&["forecast", run]);
    assert!(forecast.status.success(), "{}", text(&forecast.stderr));
    let csv = text(&forecast.stdout);
    assert_eq!(csv.lines().count(), 1 + 4 * 4, "four series, four steps:\n{csv}");
    for line in csv.lines().skip(1) {
        let numbers: Vec<f64> = line.split(',').skip(3).map(|x| x.parse().unwrap()).collect();
        assert!(numbers[1..].windows(2).all(|w| w[0] < w[1]), "quantiles do not ascend: {line}");
    }
    let again = train(&runs[0], &["--demo"]);
    assert_eq!(again.status.code(), Some(2), "a run directory was overwritten");
}

#[test]
fn a_report_is_one_page_that_needs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run <&>");
    let output = train(&out, &["--quiet", "--control", "homeo"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = vdn(&["report", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("run &lt;&amp;&gt;") && !page.contains("run <&>"));
    for part in [
        "<svg",
        "data:image/png;base64,",
        "Who lives",
        "Cost and value of units",
        "Energy against its band",
        "Calibration",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    for part in ["http", "<script", "<link", "url(", "NaN"] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    assert!(page.len() < 200_000, "{} bytes for 16 units", page.len());
    // Every figure is whole.
    for tag in ["svg", "figure", "table", "section", "div"] {
        let [open, close] = [format!("<{tag}"), format!("</{tag}>")];
        assert_eq!(page.matches(&open).count(), page.matches(&close).count(), "{tag}");
    }
}

#[test]
fn what_is_wrong_is_one_line_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let rows =
        |n: usize| (0..n).map(|i| format!("2020-01-{:02},{i}.5\n", i % 28 + 1)).collect::<String>();
    let empty = file("empty.csv", "");
    let short = file("short.csv", &format!("date,a\n{}", rows(20)));
    let bad = file("bad.csv", "date,a\n2020-01-01,1\n2020-01-02,x7\n");
    let missing = file("missing.csv", "date,a\n2020-01-01,1\n2020-01-02,\n");
    let unknown = file("unknown.toml", "[train]\nepocs = 3\n");
    let broken = file("broken.toml", "[train\n");
    let domain = file("domain.toml", "[model]\ndropout = 1.5\n");
    let cases: [(&[&str], &str); 15] = [
        (&["--frobnicate"], "--frobnicate"),
        (&["--data", "no-such-file.csv"], "no-such-file.csv"),
        (&["--data", &empty], "empty.csv"),
        (&["--data", &short], "20"),
        (&["--data", &bad], "x7"),
        (&["--data", &missing], "missing.csv"),
        (&["--config", &unknown], "train.epocs: no such key; did you mean epochs?"),
        (&["--config", &broken], "broken.toml"),
        (&["--config", &domain], "model.dropout = 1.5: has to be in [0, 1)"),
        (&["--set", "model.unit=3"], "model.unit: no such key; did you mean units?"),
        (&["--protocol", "nonsense"], "nonsense"),
        (&["--max-windows", "1,2"], "max-windows"),
        (&["--horizon", "0"], "horizon"),
        (&["--horizon", "100000"], "horizon"),
        (&["--learning-rate", "-1"], "learning"),
    ];
    for (arguments, mention) in cases {
        let out = directory.path().join("run");
        let mut all = vec!["train", "--out", out.to_str().unwrap()];
        all.extend(arguments);
        let output = vdn(&all);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.contains(mention), "{arguments:?} does not mention {mention}: {error}");
        assert!(!out.exists(), "{arguments:?} left something behind");
    }
    for arguments in [["evaluate", "no-such-run"], ["forecast", "no-such-run"]] {
        let output = vdn(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("no-such-run"));
    }
}

#[test]
fn a_run_that_diverges_names_the_step_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = train(&out, &["--demo", "--learning-rate", "1e30"]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("vdn: step 1: ") && message.contains("not finite"), "{message}");
    assert!(!out.exists(), "{message}");
    let output = train(&out, &["--demo", "--threads", "9999"]);
    let message = text(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("train.threads"), "{message}");
    let too_much = [
        ("--units", "1000000000000", "model.units"),
        ("--samples", "16777216", "model.samples"),
        ("--evaluate-samples", "16777216", "model.evaluate_samples"),
        ("--epochs", "9223372036854775807", "train.epochs"),
    ];
    for (option, value, named) in too_much {
        let output = vdn(&["train", "--out", out.to_str().unwrap(), option, value]);
        let message = text(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains(named), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!out.exists(), "{message}");
    }
}

#[test]
fn a_run_takes_nothing_but_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("deep").join("run");
    // A failed run leaves nothing of the directories that it made.
    let output = train(&out, &["--learning-rate", "1e30"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!directory.path().join("deep").exists());
    // What was there before stays as it was, whether the run would have failed or not.
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("history.csv"), "mine").unwrap();
    for rate in ["1e30", "1e-3"] {
        let output = train(&out, &["--learning-rate", rate]);
        let message = text(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains("is not empty"), "{message}");
        assert_eq!(std::fs::read(out.join("history.csv")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    }
    // An empty directory will do, and only for one of two runs at once.
    std::fs::remove_file(out.join("history.csv")).unwrap();
    let outputs = std::thread::scope(|scope| {
        let runs = ["0", "1"].map(|seed| scope.spawn(|| train(&out, &["--seed", seed])));
        runs.map(|run| run.join().unwrap())
    });
    let codes = outputs.each_ref().map(|output| output.status.code());
    assert!(codes == [Some(0), Some(2)] || codes == [Some(2), Some(0)], "{codes:?}");
    assert_eq!(vdn(&["evaluate", out.to_str().unwrap()]).status.code(), Some(0));
}

/// Stamps a file of a run as it is now.
fn restamp(run: &Path, name: &str) {
    let mut manifest = Manifest::read(&DiskFiles, run).unwrap();
    manifest.add_existing(&DiskFiles, run, name).unwrap();
    manifest.write(&DiskFiles, run).unwrap();
}

/// A run that was killed is there, but not whole: the next one says so, and what to do.
#[test]
fn the_directory_of_a_killed_run_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let mut killed = Command::new(env!("CARGO_BIN_EXE_vdn"))
        .args(["train", "--out", out.to_str().unwrap()])
        .args(&SMALL[..10])
        .args(["--epochs", "1000000", "--patience", "0"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !out.join("history.csv").exists() {
        assert!(killed.try_wait().unwrap().is_none(), "the run ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let output = train(&out, &[]);
    let message = text(&output.stderr);
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    for part in ["run", "is not finished", "vdn train --resume"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    std::fs::remove_dir_all(&out).unwrap();
    assert_eq!(train(&out, &[]).status.code(), Some(0));
    let message = text(&train(&out, &[]).stderr);
    assert!(message.contains("already holds a run; choose another directory"), "{message}");
    // Scales that are not those of the run's series.
    let scaler = out.join("scaler.json");
    let stored = std::fs::read_to_string(&scaler).unwrap();
    let cases = [
        (stored.replace("temp_max", "temp_mux"), "temp_mux"),
        (stored.replacen("\"temp_max\",", "", 1), "3 names, 4 means"),
    ];
    for (tampered, reason) in cases {
        assert_ne!(tampered, stored);
        std::fs::write(&scaler, tampered).unwrap();
        for reason in ["is not that of epoch", reason] {
            let output = vdn(&["forecast", out.to_str().unwrap()]);
            let message = text(&output.stderr);
            assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
            assert!(message.contains("scaler.json") && message.contains(reason), "{message}");
            // Stamped again, the file is looked into.
            restamp(&out, "scaler.json");
        }
    }
}

/// Scores and forecasts by moments: the same on any number of threads, close to those of samples, normal quantiles.
#[test]
fn moments_score_and_forecast_without_samples() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = train(&out, &["--demo", "--twin"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    let many = config.replace("evaluate_samples = 8\n", "evaluate_samples = 256\n");
    assert_ne!(many, config);
    std::fs::write(out.join("config.toml"), many).unwrap();
    restamp(&out, "config.toml");
    let run = out.to_str().unwrap();
    let table = |more: &[&str]| {
        let output = vdn(&[&["evaluate", run], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let [one, two] = ["1", "2"].map(|threads| table(&["--moments", "--threads", threads]));
    assert_eq!(one, two);
    for row in ["variational units, by moments", "deterministic twin", "ridge", "seasonal naive"] {
        assert!(one.contains(row), "{row} is missing:\n{one}");
    }
    for part in ["swapped", " living", "by moments, by moments"] {
        assert!(!one.contains(part), "{part}:\n{one}");
    }
    // MSE, NLL, CRPS and coverage, after the number of parameters.
    let scores = |table: &str, name: &str| -> Vec<f64> {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        let rest = row[34..].split_whitespace().skip(1).take(3);
        rest.map(|x| x.parse().unwrap()).collect()
    };
    let by_samples = table(&[]);
    let pairs = scores(&one, "variational").into_iter().zip(scores(&by_samples, "variational"));
    for (moments, samples) in pairs {
        // 256 samples, and what is rounded.
        assert!((moments - samples).abs() < 0.01, "{one}\n{by_samples}");
    }
    assert_eq!(scores(&one, "deterministic"), scores(&by_samples, "deterministic"));
    let forecast = vdn(&["forecast", run, "--moments"]);
    assert!(forecast.status.success(), "{}", text(&forecast.stderr));
    let csv = text(&forecast.stdout);
    assert_eq!(csv.lines().count(), 1 + 4 * 4, "{csv}");
    for line in csv.lines().skip(1) {
        // mean, 5, 10, 25, 50, 75, 90 and 95 %.
        let x: Vec<f64> = line.split(',').skip(3).map(|x| x.parse().unwrap()).collect();
        let spread = (x[7] - x[0]) / 1.644_853_626_951_472_2;
        let want =
            [0.0, -1.644_853_626_951_472_2, -1.281_551_565_544_600_4, -0.674_489_750_196_081_7];
        for (i, want) in want.into_iter().enumerate() {
            let off = x[i] - (x[0] + want * spread);
            assert!(off.abs() < 1e-9 * (1.0 + x[0].abs()), "{line}");
        }
    }
    // The default model has a closed form in any case.
    let other = vdn(&["forecast", run]);
    assert_eq!(text(&other.stdout), csv);
}

#[test]
fn models_without_moments_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let (out, config) = (directory.path().join("run"), directory.path().join("run.toml"));
    std::fs::write(&config, "[model]\naggregation = \"score\"\n").unwrap();
    let output = train(&out, &["--quiet", "--config", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for command in ["evaluate", "forecast"] {
        let output = vdn(&[command, out.to_str().unwrap(), "--moments"]);
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.contains("aggregation: score"), "{message}");
    }
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_vdn"))
        .args(["train", "--epochs", "1"])
        .env("VDN_SIMD", "mmx")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("VDN_SIMD=mmx"), "{}", text(&output.stderr));
}

/// On each SIMD level of the machine neither generator's run depends on the threads; levels with fused multiply-add agree
/// with each other, too.
#[test]
fn runs_of_both_generators_are_the_same_on_any_threads_and_fused_level() {
    const FILES: [&str; 5] =
        ["history.csv", "weights.safetensors", "units.npy", "units.csv", "scaler.json"];
    let directory = tempfile::tempdir().unwrap();
    let run = |level: &str, threads: &str, more: &[&str]| -> Vec<Vec<u8>> {
        let out = directory.path().join([&[level, threads], more].concat().join(" "));
        let output = Command::new(env!("CARGO_BIN_EXE_vdn"))
            .args(["train", "--out", out.to_str().unwrap(), "--threads", threads])
            .args(SMALL)
            .args(more)
            .env("VDN_SIMD", level)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        FILES.map(|file| std::fs::read(out.join(file)).unwrap()).to_vec()
    };
    let mut fused = Vec::new();
    for level in vdn_tensor::simd::available() {
        println!("level {level}");
        let of = |generator: &str| {
            let more = ["--generator", generator];
            let [one, two] = ["1", "2"].map(|threads| run(level.name(), threads, &more));
            for (file, (one, two)) in FILES.iter().zip(one.iter().zip(&two)) {
                assert!(one == two, "{level} {generator}: {file} depends on the threads");
            }
            one
        };
        let (philox, ars) = (of("philox4x32-10"), of("ars-7"));
        assert!(philox == run(level.name(), "1", &[]), "{level}: the default is another generator");
        for i in 0..4 {
            assert!(philox[i] != ars[i], "{level}: {} is the same with both", FILES[i]);
        }
        if level != vdn_tensor::simd::Level::Portable {
            fused.push([philox, ars]);
        }
    }
    assert!(fused.windows(2).all(|levels| levels[0] == levels[1]), "levels disagree");
    // What was stored says which generator it is of.
    let out = directory.path().join("portable 1 --generator ars-7");
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("generator = \"ars-7\""), "{config}");
    let refused = train(&directory.path().join("none"), &["--generator", "mt19937"]);
    let error = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(2)
            && error.contains("train.generator = \"mt19937\": has to be one of"),
        "{error}"
    );
}

#[test]
fn a_model_of_several_layers_is_trained_by_an_option() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let more = ["--demo", "--depth", "3", "--residual", "--distributional-fraction", "0.5"];
    let output = train(&out, &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    for line in ["depth = 3", "residual = true", "distributional_fraction = 0.5"] {
        assert!(config.contains(line), "{line} is missing:\n{config}");
    }
    let evaluated = vdn(&["evaluate", out.to_str().expect("a plain path")]);
    assert!(evaluated.status.success(), "{}", text(&evaluated.stderr));
    let refused = train(&directory.path().join("other"), &["--demo", "--depth", "17"]);
    let error = text(&refused.stderr);
    assert_eq!((refused.status.code(), error.lines().count()), (Some(2), 1), "{error}");
    assert!(error.contains("model.depth = 17: has to be 1 to 16"), "{error}");
}

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
    // Each kind of run is told by its own commands.
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
