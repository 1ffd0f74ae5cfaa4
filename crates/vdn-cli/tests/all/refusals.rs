//! Refusals: one line with the problem, and an exit code.

use super::support::{SMALL, restamp, text, train, vdn};
use std::process::Command;

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
    // A failed run removes the directories that it created.
    let output = train(&out, &["--learning-rate", "1e30"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!directory.path().join("deep").exists());
    // Existing files stay as they were, whether the run would have failed or not.
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("history.csv"), "mine").unwrap();
    for rate in ["1e30", "1e-3"] {
        let output = train(&out, &["--learning-rate", rate]);
        let message = text(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains("is not empty"), "{message}");
        assert_eq!(std::fs::read(out.join("history.csv")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    }
    // An empty directory is accepted, but only for one of two simultaneous runs.
    std::fs::remove_file(out.join("history.csv")).unwrap();
    let outputs = std::thread::scope(|scope| {
        let runs = ["0", "1"].map(|seed| scope.spawn(|| train(&out, &["--seed", seed])));
        runs.map(|run| run.join().unwrap())
    });
    let codes = outputs.each_ref().map(|output| output.status.code());
    assert!(codes == [Some(0), Some(2)] || codes == [Some(2), Some(0)], "{codes:?}");
    assert_eq!(vdn(&["evaluate", out.to_str().unwrap()]).status.code(), Some(0));
}

/// A killed run exists but is incomplete. The next run says so, and what to do.
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
    // Scales that do not belong to the run's series.
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
            // With a new entry in the manifest, the contents of the file are checked.
            restamp(&out, "scaler.json");
        }
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
