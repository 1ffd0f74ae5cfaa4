//! Runs as a user makes them: files, tables, pages, and the same bytes on any number of threads.

use super::support::{SMALL, text, train, vdn};
use std::process::Command;

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
    // Every figure is complete.
    for tag in ["svg", "figure", "table", "section", "div"] {
        let [open, close] = [format!("<{tag}"), format!("</{tag}>")];
        assert_eq!(page.matches(&open).count(), page.matches(&close).count(), "{tag}");
    }
}

/// On each SIMD level of the machine, the runs of both generators are independent of the number of
/// threads. Levels with fused multiply-add agree with each other, too.
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
    // The stored run names its generator.
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
