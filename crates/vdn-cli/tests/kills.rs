//! Runs that are killed or interrupted at random moments end with the same bytes as an
//! uninterrupted run.
//!
//! The exhaustive form takes about three minutes:
//!
//! ```sh
//! VDN_KILLS=500 VDN_TERMS=200 cargo test -p vdn-cli --test kills -- --ignored --nocapture
//! ```
//!
//! The results are in `docs/numerics.md`.
#![cfg(unix)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The files that must have the same bytes as in the uninterrupted run. Times are removed from the
/// last one.
const FILES: [&str; 6] =
    ["weights.safetensors", "history.csv", "control.csv", "units.npy", "units.csv", "summary.json"];

/// Removes all times.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !key.starts_with("seconds"));
            map.values_mut().for_each(timeless);
        }
        Value::Array(values) => values.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// A file of a run, without times.
fn bytes(run: &Path, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(run.join(name)).unwrap();
    if name != "summary.json" {
        return bytes;
    }
    let mut summary: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(summary["rows"].is_array(), "{summary}");
    timeless(&mut summary);
    summary.to_string().into_bytes()
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vdn"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}

fn start(out: &Path) -> Child {
    let settings = [
        "data.max_train=24",
        "data.max_validation=8",
        "data.max_test=8",
        "model.units=8",
        "model.hidden=8",
        "model.head_hidden=8",
        "model.evaluate_samples=4",
        "train.batch=16",
        "train.checkpoint_every_steps=1",
    ];
    let mut command = program();
    command.args(["train", "--demo", "--epochs", "5", "--seed", "3", "--quiet", "--out"]).arg(out);
    settings.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    command.spawn().unwrap()
}

fn resume(out: &Path, threads: usize) -> Child {
    let mut command = program();
    command.args(["train", "--quiet", "--threads", &threads.to_string(), "--resume"]).arg(out);
    command.spawn().unwrap()
}

/// A generator of random moments: the 64-bit linear congruence of Knuth's MMIX.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Whether a checkpoint is being written, that is, whether its temporary file exists.
fn writes_checkpoint(out: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(out.join("checkpoints")) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains(".tmp"))
}

/// Sends `signal` after `delay`, or (`at_checkpoint`) at the first checkpoint that is written from
/// then on. Returns how the child ended, and whether the signal hit a checkpoint: a killed child
/// leaves its temporary file behind.
fn signal_at(
    mut child: Child,
    out: &Path,
    signal: Signal,
    delay: Duration,
    at_checkpoint: bool,
) -> (ExitStatus, bool) {
    let begin = Instant::now();
    let mut met;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, false);
        }
        if begin.elapsed() >= delay {
            met = writes_checkpoint(out);
            if met || !at_checkpoint {
                break;
            }
        }
        if !at_checkpoint {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    // The child may have ended in the meantime.
    let _ = kill_process(Pid::from_child(&child), signal);
    let status = child.wait().unwrap();
    if signal == Signal::KILL {
        met = writes_checkpoint(out);
    }
    (status, met)
}

struct Lab {
    folder: tempfile::TempDir,
    reference: PathBuf,
    /// The duration of an uninterrupted run.
    whole: Duration,
    moments: Moments,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reference = folder.path().join("reference");
        let begin = Instant::now();
        assert!(start(&reference).wait().unwrap().success());
        let whole = begin.elapsed();
        Self { folder, reference, whole, moments: Moments(7) }
    }

    /// Starts a run and stops it `stops` times by `signal`. Two of three stops are aimed at a
    /// checkpoint, because some of them miss it. Returns the number of stops that hit a running
    /// child, and of those that hit a checkpoint.
    fn stop_and_resume(&mut self, number: usize, signal: Signal, stops: usize) -> [usize; 2] {
        let out = self.folder.path().join(format!("run{number}"));
        let mut child = start(&out);
        let [mut stopped, mut at_checkpoints] = [0, 0];
        for stop in 0..stops {
            let delay = self.whole.mul_f64(self.moments.next());
            let (status, met) = signal_at(child, &out, signal, delay, stop % 3 != 0);
            if status.success() {
                return self.compare(&out, [stopped, at_checkpoints]);
            }
            stopped += 1;
            at_checkpoints += usize::from(met);
            if let Some(code) = status.code() {
                assert_eq!((signal, code), (Signal::TERM, 75), "an unexpected end");
            }
            child = match out.join("config.toml").exists() {
                true => resume(&out, 1 + stop % 2),
                // Stopped before its directory was created.
                false => {
                    let _ = std::fs::remove_dir_all(&out);
                    start(&out)
                }
            };
        }
        assert!(child.wait().unwrap().success(), "run {number} cannot be resumed");
        self.compare(&out, [stopped, at_checkpoints])
    }

    fn compare(&self, out: &Path, counts: [usize; 2]) -> [usize; 2] {
        for name in FILES {
            let [a, b] = [&self.reference, out].map(|run| bytes(run, name));
            assert!(a == b, "{name} of {} differs", out.display());
        }
        let left: Vec<_> =
            std::fs::read_dir(out).unwrap().flatten().map(|e| e.file_name()).collect();
        let stale = left.iter().any(|name| name.to_string_lossy().contains(".tmp"));
        assert!(!stale, "temporary files are left: {left:?}");
        std::fs::remove_dir_all(out).unwrap();
        counts
    }
}

fn count(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The stops of each signal, and those that hit a checkpoint.
fn stop_runs(kills: usize, terms: usize) -> [[usize; 2]; 2] {
    let mut lab = Lab::new();
    let (mut number, mut counts) = (0, [[0; 2]; 2]);
    let signals = [("SIGKILL", Signal::KILL, kills), ("SIGTERM", Signal::TERM, terms)];
    for ((name, signal, wanted), counts) in signals.into_iter().zip(&mut counts) {
        let [mut stopped, mut at_checkpoints] = [0, 0];
        while stopped < wanted {
            let [own, met] = lab.stop_and_resume(number, signal, 4.min(wanted - stopped));
            (stopped, at_checkpoints) = (stopped + own, at_checkpoints + met);
            number += 1;
        }
        println!(
            "{name}: {stopped} stops, {at_checkpoints} of them while a checkpoint was written, 0 \
             differences"
        );
        *counts = [stopped, at_checkpoints];
    }
    println!("{number} runs");
    counts
}

#[test]
fn a_few_killed_and_interrupted_runs_end_in_the_same_bytes() {
    stop_runs(6, 4);
}

#[test]
#[ignore = "three minutes; the command is in the head of the file"]
fn many_killed_and_interrupted_runs_end_in_the_same_bytes() {
    for [stopped, at_checkpoints] in stop_runs(count("VDN_KILLS", 500), count("VDN_TERMS", 200)) {
        assert!(2 * at_checkpoints >= stopped, "{at_checkpoints} of {stopped} met a checkpoint");
    }
}
