//! A file-size limit (`ulimit -f`) ends a write and not the program. The run reports it in one
//! line, keeps its last checkpoint, and can be resumed without the limit as if nothing had
//! happened.
#![cfg(unix)]

use super::support::{text, vdn};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A run with small checkpoints and a record of all units that outgrows them after some epochs: 9
/// KB per epoch, compared with 160 KB.
const RUN: [&str; 21] = [
    "train",
    "--demo",
    "--quiet",
    "--input-len=24",
    "--horizon=4",
    "--units=256",
    "--max-windows=64,16,16",
    "--evaluate-samples=4",
    "--epochs=24",
    "--patience=0",
    "--threads=1",
    "--set=model.dependence=sampled",
    "--set=model.hidden=4",
    "--set=model.head_hidden=4",
    "--set=diagnostics.every=0",
    "--set=diagnostics.windows=0",
    "--set=train.batch=64",
    "--set=train.keep=2",
    "--set=train.checkpoint_every_epochs=1",
    "--set=train.checkpoint_every_minutes=0",
    "--out",
];

/// Runs the program with a limit of `blocks` blocks of 512 bytes per file.
fn limited(blocks: usize, arguments: &[&str]) -> Output {
    let script = format!("ulimit -f {blocks} && exec \"$0\" \"$@\"");
    let shell = ["-c", &script, env!("CARGO_BIN_EXE_vdn")];
    Command::new("sh").args(shell).args(arguments).output().unwrap()
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Checks for one line that names the file and the limit, and that no temporary file is left.
fn expect_limit(output: &Output, directory: &Path, of: &str) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{of}: {error}");
    let parts = ["vdn: ", "would exceed the file-size limit", "what was stored before is intact"];
    for part in parts {
        assert!(error.lines().count() == 1 && error.contains(part), "{of}: {error}");
    }
    for path in files(directory) {
        assert!(!path.display().to_string().contains(".tmp-"), "{of}: {} is left", path.display());
    }
}

#[test]
fn a_run_meets_the_limit_and_goes_on_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole");
    let arguments = |out: &Path| -> Vec<String> {
        RUN.iter().map(|own| (*own).to_owned()).chain([out.display().to_string()]).collect()
    };
    let start = |out: &Path, blocks: usize| {
        let own = arguments(out);
        limited(blocks, &own.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let output = start(&whole, 1 << 30);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (mut gone, mut without, mut with) = (0, 0, 0);
    // The limit falls into the configuration, the first epoch's record, the weights, the first
    // checkpoint, later ones, the record of many epochs, and the final record as a whole.
    for blocks in [1, 8, 100, 300, 400, 432] {
        let out = directory.path().join(blocks.to_string());
        let name = format!("{blocks} blocks");
        expect_limit(&start(&out, blocks), directory.path(), &name);
        if !out.exists() {
            gone += 1;
            continue;
        }
        let kept = files(&out.join("checkpoints"));
        let any = kept.iter().any(|path| path.extension().is_some_and(|ending| ending == "vdn"));
        *if any { &mut with } else { &mut without } += 1;
        let output = vdn(&["train", "--quiet", "--resume", out.to_str().unwrap()]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let passed_over = text(&output.stderr);
        assert!(!passed_over.contains("passed over"), "{name}: {passed_over}");
        for file in [
            "weights.safetensors",
            "history.csv",
            "control.csv",
            "control.safetensors",
            "units.npy",
            "units.csv",
        ] {
            let bytes = |run: &Path| std::fs::read(run.join(file)).unwrap();
            assert!(bytes(&whole) == bytes(&out), "{name}: {file} differs");
        }
    }
    println!("{gone} took back what they wrote, {without} had no checkpoint, {with} had one");
    assert!(gone >= 2 && with >= 3, "{gone} {without} {with}");
    // The files that are written about a run: a page and a table.
    let out = whole.to_str().unwrap();
    for command in ["report", "forecast"] {
        let file = directory.path().join(command);
        let arguments = [command, out, "--out", file.to_str().unwrap()];
        expect_limit(&limited(1, &arguments), directory.path(), command);
        assert!(!file.exists(), "{command}");
        let output = vdn(&arguments);
        assert!(output.status.success() && file.exists(), "{}", text(&output.stderr));
        // The previous file stays.
        let before = std::fs::read(&file).unwrap();
        expect_limit(&limited(1, &arguments), directory.path(), command);
        assert!(std::fs::read(&file).unwrap() == before, "{command}");
    }
}
