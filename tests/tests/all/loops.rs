//! Networks are trained by the trainer. A loop of optimiser steps is written out only where it is
//! necessary. These places are listed here with their reasons.

use std::path::{Path, PathBuf};

/// The files that make optimiser steps themselves, and the reasons.
const WRITTEN_OUT: [(&str, &str); 9] = [
    ("crates/vdn/examples/first_neuron.rs", "shows the tape with one layer of units"),
    ("crates/vdn/examples/own_operation.rs", "shows the tape"),
    ("crates/vdn/tests/all/from_pytorch.rs", "shows the tape beside the page it is taken from"),
    ("crates/vdn-forecast/src/sequence/network.rs", "is what the trainer is held against"),
    ("tests/tests/all/reference/trajectory.rs", "follows another implementation step by step"),
    ("tests/tests/all/reference/training.rs", "follows another optimiser without a tape"),
    ("experiments/examples/control_cost.rs", "lets several models take turns"),
    ("experiments/examples/step_profile.rs", "times the parts of a step"),
    ("tests/tests/all/loops.rs", "names what it looks for"),
];

/// The forms of an optimiser step in code.
const STEPS: [&str; 3] = ["optimizer.step(", ".minimize(", "optimiser.step("];

fn files(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target") => {}
            true => files(&path, to),
            false if path.extension().is_some_and(|ending| ending == "rs") => to.push(path),
            false => {}
        }
    }
}

#[test]
fn loops_of_optimiser_steps_are_the_trainers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    for folder in ["crates", "experiments", "tests"] {
        files(&root.join(folder), &mut all);
    }
    let mut found: Vec<String> = Vec::new();
    for file in &all {
        let name = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        // Skips the trainer and its optimisers.
        if name.starts_with("crates/vdn-train/src/") {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        let code = |line: &&str| !line.trim_start().starts_with("//");
        if text.lines().filter(code).any(|line| STEPS.iter().any(|step| line.contains(step))) {
            found.push(name);
        }
    }
    let mut listed: Vec<&str> = WRITTEN_OUT.iter().map(|(name, _)| *name).collect();
    found.sort_unstable();
    listed.sort_unstable();
    assert_eq!(found, listed, "left: files with steps of their own; right: those with a reason");
}
