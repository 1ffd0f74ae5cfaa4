//! Checkpoints under every fault at every operation.

use crate::store::crash_files::{CrashFiles, Fault};
use crate::store::sweep::sweep;
use std::io::ErrorKind;
use std::path::Path;
use vdn_train::run::store::{
    CheckpointStore, StoreError, read_container, remove_stale_temporaries, write_atomically,
};

/// Contents that differ from save to save, even of the same step.
fn save(store: &CheckpointStore, step: u64, number: usize) -> Result<(), StoreError> {
    let weights: Vec<u8> = (0..40).map(|i| (i * 7 + number * 31) as u8).collect();
    let state = format!("step {step}, save {number}");
    store.save(step, &[("weights", &weights), ("state", state.as_bytes())]).map(|_| ())
}

fn latest(store: &CheckpointStore, case: &str) -> Option<(u64, String)> {
    let latest = store.latest().unwrap_or_else(|e| panic!("{case}: {e}"));
    assert!(latest.skipped.is_empty(), "{case}: {:?}", latest.skipped);
    let (step, mut sections) = latest.checkpoint?;
    let state = String::from_utf8(sections.take("state").unwrap()).unwrap();
    let number: usize = state.rsplit(' ').next().unwrap().parse().unwrap();
    let weights: Vec<u8> = (0..40).map(|i| (i * 7 + number * 31) as u8).collect();
    assert_eq!(sections.get("weights").unwrap(), weights, "{case}");
    assert!(state.starts_with(&format!("step {step},")), "{case}: {state}");
    Some((step, state))
}

fn store(files: &CrashFiles, keep: usize) -> CheckpointStore {
    CheckpointStore::new(files.shared(), Path::new("run"), keep).unwrap()
}

#[test]
fn no_fault_at_any_operation_loses_an_acknowledged_checkpoint() {
    // Progress; the same step again; back to an earlier step, and on.
    let sequences: [&[u64]; 3] =
        [&[10, 20, 30, 40, 50], &[10, 10, 10, 20], &[10, 20, 90, 91, 30, 31]];
    let (mut faults, mut disks) = (0, 0);
    for keep in 1..=3 {
        for steps in sequences {
            let scenario = |files: &CrashFiles| {
                let store = store(files, keep);
                let save = |(number, &step)| {
                    let saved = save(&store, step, number);
                    if let Err(error) = &saved {
                        check_message(error);
                    }
                    saved.is_ok()
                };
                steps.iter().enumerate().map(save).collect::<Vec<bool>>()
            };
            let check = |files: &CrashFiles, saved: &Vec<bool>, case: &str| {
                let case = format!("keep {keep}, {steps:?}, {case}");
                let store = store(files, keep);
                let found = latest(&store, &case);
                // The last acknowledged save, or a later one that was not acknowledged.
                let from = saved.iter().rposition(|&ok| ok);
                let may_be: Vec<_> = (from.unwrap_or(0)..steps.len())
                    .map(|i| (steps[i], format!("step {}, save {i}", steps[i])))
                    .collect();
                match &found {
                    Some(found) => {
                        assert!(may_be.contains(found), "{case}: {found:?}, not {may_be:?}")
                    }
                    None => assert!(from.is_none(), "{case}: nothing, not {may_be:?}"),
                }
                go_on(files, &store, keep, &case);
            };
            let (f, d) = sweep(scenario, check);
            (faults, disks) = (faults + f, disks + d);
        }
    }
    println!("checkpoints: {faults} faults, {disks} disks");
    assert!(faults > 3000 && disks > 20_000, "{faults} {disks}");
}

/// The run is resumed: temporary files are removed, and the next save is found.
fn go_on(files: &CrashFiles, store: &CheckpointStore, keep: usize, case: &str) {
    for directory in ["run", "run/checkpoints"] {
        remove_stale_temporaries(files, Path::new(directory)).unwrap();
    }
    save(store, 60, 99).unwrap_or_else(|e| panic!("{case}: {e}"));
    assert_eq!(latest(store, case), Some((60, "step 60, save 99".into())), "{case}");
    let names = files.names();
    assert!(names.len() <= keep, "{case}: {names:?}");
    assert!(names.iter().all(|name| name.ends_with(".vdn")), "{case}: {names:?}");
}

fn check_message(error: &StoreError) {
    let line = error.to_string();
    assert!(line.starts_with("run/checkpoints"), "{line}");
    assert!(line.ends_with("; what was stored before is intact"), "{line}");
    assert!(!line.contains(char::is_control) && line.len() < 300, "{line}");
}

#[test]
fn a_failed_write_leaves_no_temporary_file() {
    let path = Path::new("run/file");
    let whole = CrashFiles::new(None);
    write_atomically(&whole, path, &[b"one", b"two"]).unwrap();
    let operations = whole.operations();
    assert_eq!(operations, 6, "create, write, write, sync, rename, sync of the directory");
    for at in 0..operations {
        let files = CrashFiles::new(None);
        write_atomically(&files, path, &[b"old"]).unwrap();
        files.set_fault(Some(Fault::Once(at, ErrorKind::StorageFull)));
        let error = write_atomically(&files, path, &[b"one", b"two"]).unwrap_err().to_string();
        assert_eq!(files.names(), ["run/file"], "{at}");
        let contents = files.contents(path).unwrap();
        let expected: &[u8] = if at < 5 { b"old" } else { b"onetwo" };
        assert_eq!(contents, expected, "{at}");
        assert!(error.contains("the disk is full; what was stored before is intact"), "{error}");
    }
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_reported() {
    let files = CrashFiles::new(None);
    let store = store(&files, 3);
    for (number, step) in [10, 20, 30].into_iter().enumerate() {
        save(&store, step, number).unwrap();
    }
    let bytes = files.contents(store.path(30)).unwrap();
    write_atomically(&files, &store.path(30), &[&bytes[..bytes.len() - 1]]).unwrap();
    write_atomically(&files, &store.path(20), &[b"PK"]).unwrap();
    write_atomically(&files, &store.directory().join("step-40.vdn"), &[b"other name"]).unwrap();
    let latest = store.latest().unwrap();
    assert_eq!(latest.checkpoint.unwrap().0, 10);
    let skipped: Vec<String> = latest.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped[0].contains("step-000000000030.vdn: is damaged: it ends at offset"),
        "{skipped:?}"
    );
    assert!(skipped[1].contains("step-000000000020.vdn: is not a checkpoint"), "{skipped:?}");
    // The run resumes from step 10 and removes the later checkpoints that it skipped.
    save(&store, 15, 9).unwrap();
    assert_eq!(store.steps().unwrap(), [10, 15]);
}

#[test]
fn a_checkpoint_of_a_newer_version_is_not_skipped() {
    let files = CrashFiles::new(None);
    let store = store(&files, 3);
    for (number, step) in [10, 20].into_iter().enumerate() {
        save(&store, step, number).unwrap();
    }
    let mut bytes = files.contents(store.path(20)).unwrap();
    bytes[8] = 2;
    let checksum = vdn_train::run::store::checksum_of(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    write_atomically(&files, &store.path(20), &[&bytes]).unwrap();
    let error = store.latest().unwrap_err().to_string();
    assert!(error.ends_with("has format version 2; this program reads version 1"), "{error}");
}

#[test]
fn the_cost_is_reported_and_keep_is_at_least_one() {
    let files = CrashFiles::new(None);
    let store = store(&files, 1);
    let saved = store.save(7, &[("a", &[0; 1000])]).unwrap();
    assert_eq!(saved.path, Path::new("run/checkpoints/step-000000000007.vdn"));
    assert_eq!(saved.bytes as usize, files.contents(&saved.path).unwrap().len());
    assert!(saved.seconds >= 0.0 && saved.unremoved.is_empty());
    assert!(read_container(&files, &saved.path).is_ok());
    let error = CheckpointStore::new(files.shared(), Path::new("run"), 0).unwrap_err();
    assert_eq!(error.to_string(), "keep = 0: has to be at least 1");
}
