//! Starts the program, and describes a run that is small enough to train in seconds.

use std::path::Path;
use std::process::{Command, Output};
use vdn_train::run::store::{DiskFiles, Manifest};

/// Small enough to train in seconds without a release build.
pub(super) const SMALL: [&str; 12] = [
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

pub(super) fn vdn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vdn")).args(arguments).output().expect("the program starts")
}

pub(super) fn train(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().expect("a plain path");
    let arguments: Vec<&str> =
        ["train", "--out", out].iter().chain(&SMALL).chain(more).copied().collect();
    vdn(&arguments)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Updates the manifest entry of a file of a run.
pub(super) fn restamp(run: &Path, name: &str) {
    let mut manifest = Manifest::read(&DiskFiles, run).unwrap();
    manifest.add_existing(&DiskFiles, run, name).unwrap();
    manifest.write(&DiskFiles, run).unwrap();
}
