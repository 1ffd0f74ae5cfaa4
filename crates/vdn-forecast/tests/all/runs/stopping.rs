//! Runs that are stopped and resumed, and the comparison of their results.

use super::support::Failure;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{Report, interruptible_run, resume_run};
use vdn_tensor::parallel::Pool;
use vdn_train::TrainError;
use vdn_train::run::store::{DiskFiles, Interrupt, Manifest};
use vdn_train::train::Progress;

/// Three epochs of three steps, the last of which has fewer windows; two series.
pub(crate) const SMALL: &str = "[data]\ncolumns = [\"temp_max\", \"wind\"]\ninput_len = 24\nhorizon = 4\nmax_train = 16\n\
    max_validation = 8\nmax_test = 8\n[diagnostics]\nevery = 2\nwindows = 8\n[model]\nunits = 8\nhidden = 8\n\
    head_hidden = 8\nevaluate_samples = 4\n";
pub(crate) const TRAIN: &str =
    "[train]\nepochs = 3\nbatch = 12\npatience = 0\ncheckpoint_every_steps = 1\n";
pub(crate) const STEPS: u64 = 9;

pub(crate) fn config(model: &str, train: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, &format!("{model}{TRAIN}{train}"))
}

/// The stop of a run after this number of steps; the steps of the model and of its twin are counted
/// together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// It is asked to stop.
    Interrupted(u64),
    /// It dies before it can save anything.
    Killed(u64),
}

/// Starts or resumes a run on this number of threads. `None`: it was killed.
pub(crate) fn go(
    config: Option<&RunConfig>,
    out: &Path,
    stop: Option<Stop>,
    threads: usize,
) -> Result<Option<Result<Report, TrainError>>, Failure> {
    let interrupt = Interrupt::new();
    let progress = |stage, event: Progress<'_>| {
        let before = if stage == vdn_forecast::run::Stage::Model { 0 } else { STEPS };
        let Progress::Step { done, total } = event else { return };
        assert_eq!(total, STEPS);
        match stop {
            Some(Stop::Interrupted(step)) if step == before + done => interrupt.request(),
            Some(Stop::Killed(step)) if step == before + done => {
                std::panic::resume_unwind(Box::new(step))
            }
            _ => {}
        }
    };
    let work = || match config {
        Some(config) => interruptible_run(config, Some(out), &interrupt, progress),
        None => resume_run(out, &interrupt, progress),
    };
    let work = std::panic::AssertUnwindSafe(|| Pool::new(threads).map(|pool| pool.run(work)));
    Ok(std::panic::catch_unwind(work).ok().transpose()?)
}

/// A run that stops at each of `stops` and is resumed each time, on different numbers of threads.
pub(crate) fn stopping(config: &RunConfig, out: &Path, stops: &[Stop]) -> Result<Report, Failure> {
    let mut first = Some(config);
    for (place, &stop) in stops.iter().enumerate() {
        let result = go(first.take(), out, Some(stop), 2 - place % 2)?;
        match (stop, result) {
            (Stop::Killed(_), None) => {}
            (Stop::Interrupted(at), Some(Err(TrainError::Interrupted { step }))) => {
                // After the last step, a run stops before its scores.
                let expected = if at % STEPS == 0 { STEPS } else { at % STEPS };
                assert_eq!(step, expected, "{stops:?}");
            }
            (_, other) => panic!("{stops:?}: {other:?}"),
        }
    }
    Ok(go(first, out, None, 3)?.ok_or("killed")??)
}

/// Returns every file of a directory. The names of files in folders include the folder.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            all.insert(format!("{name}/"), Vec::new());
            let inside = files(&entry.path()).into_iter();
            all.extend(inside.map(|(own, bytes)| (format!("{name}/{own}"), bytes)));
        } else {
            all.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// Removes all times.
pub(crate) fn timeless(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !key.starts_with("seconds"));
            map.values_mut().for_each(timeless);
        }
        Value::Array(values) => values.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// Returns the files of a finished run without the parts that differ between runs: times, and the
/// name of the run.
pub(crate) fn comparable(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = files(directory);
    let mut summary: Value = serde_json::from_slice(&all["summary.json"]).unwrap();
    assert!(String::from_utf8_lossy(&all["summary.json"]).contains("\"seconds_per_epoch\""));
    timeless(&mut summary);
    all.insert("summary.json".into(), summary.to_string().into_bytes());
    let manifest = Manifest::read(&DiskFiles, directory).unwrap();
    manifest.verify(&DiskFiles, directory).unwrap();
    let stamps = manifest.files().filter(|(name, _)| *name != "summary.json");
    let stamps: Vec<_> = stamps.collect();
    let text = format!("{} {} {} {stamps:?}", manifest.step, manifest.epoch, manifest.finished);
    all.insert("manifest.json".into(), text.into_bytes());
    all
}

pub(crate) fn expect_same(found: &Path, want: &Path, of: &str) {
    let (found, want) = (comparable(found), comparable(want));
    assert_eq!(found.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{of}");
    for (name, bytes) in &found {
        if *bytes != want[name] {
            let [found, want] = [bytes, &want[name]].map(|bytes| String::from_utf8_lossy(bytes));
            panic!("{of}: {name}:\n{found}\ninstead of\n{want}");
        }
    }
}

/// A directory for runs.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Controllers that have a state.
pub(crate) const CONTROLS: &str = "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\nevery = 2\n\
    calibration_every = 4\n[control.ar]\nramp_steps = 5\nadapt = true\n";
