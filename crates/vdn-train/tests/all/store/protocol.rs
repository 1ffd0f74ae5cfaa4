//! A whole run: history, checkpoint, weights and manifest, killed at every operation, then resumed.

use crate::store::crash_files::{CrashFiles, Fault};
use crate::store::sweep::sweep;
use std::path::Path;
use vdn_train::run::store::{
    AppendLog, CheckpointStore, LogMark, Manifest, StoreError, remove_stale_temporaries,
    write_atomically,
};

/// As in training, the weights after an epoch depend on the weights before it.
fn train(weights: &mut [u8], epoch: usize) {
    for (i, weight) in weights.iter_mut().enumerate() {
        *weight = weight.wrapping_mul(31).wrapping_add((epoch * 17 + i) as u8);
    }
}

fn mark_bytes(mark: LogMark) -> Vec<u8> {
    serde_json::to_vec(&mark).unwrap()
}

/// Trains from the newest checkpoint to the end, in the order of the module's protocol.
fn run(files: &CrashFiles, epochs: usize, acknowledged: &mut usize) -> Result<(), StoreError> {
    let directory = Path::new("run");
    remove_stale_temporaries(files, directory)?;
    remove_stale_temporaries(files, &directory.join("checkpoints"))?;
    let store = CheckpointStore::new(files.shared(), directory, 2)?;
    let latest = store.latest()?;
    assert!(latest.skipped.is_empty(), "{:?}", latest.skipped);
    let (mut epoch, mut weights, mut mark) = (0, vec![0; 20], LogMark::EMPTY);
    if let Some((step, mut sections)) = latest.checkpoint {
        epoch = step as usize / 10;
        weights = sections.take("weights")?;
        mark = serde_json::from_slice(sections.get("history")?).unwrap();
    }
    assert!(epoch >= *acknowledged, "epoch {epoch} of {acknowledged}");
    let mut history = AppendLog::open(files, &directory.join("history.csv"), mark)?;
    if epoch > 0 {
        publish(files, epoch, epochs, &weights, mark)?;
    }
    while epoch < epochs {
        epoch += 1;
        train(&mut weights, epoch);
        history.append(format!("{epoch},{}\n", weights[0]).as_bytes())?;
        let mark = history.sync()?;
        store.save(10 * epoch as u64, &[("weights", &weights), ("history", &mark_bytes(mark))])?;
        *acknowledged = epoch;
        publish(files, epoch, epochs, &weights, mark)?;
    }
    Ok(())
}

/// The weights for other programs, then the manifest.
fn publish(
    files: &CrashFiles,
    epoch: usize,
    epochs: usize,
    weights: &[u8],
    mark: LogMark,
) -> Result<(), StoreError> {
    let directory = Path::new("run");
    write_atomically(files, &directory.join("weights.safetensors"), &[weights])?;
    let mut manifest = Manifest::new("a1");
    (manifest.step, manifest.epoch, manifest.finished) =
        (10 * epoch as u64, epoch, epoch == epochs);
    manifest.add_file("weights.safetensors", weights);
    manifest.add_log("history.csv", mark);
    manifest.write(files, directory)
}

/// A reader refuses the files, or finds all of them from one epoch.
fn read_only(files: &CrashFiles, case: &str) {
    let directory = Path::new("run");
    let Ok(manifest) = Manifest::read(files, directory) else { return };
    if manifest.verify(files, directory).is_err() {
        return;
    }
    let mut weights = vec![0; 20];
    for epoch in 1..=manifest.epoch {
        train(&mut weights, epoch);
    }
    assert_eq!(files.contents("run/weights.safetensors").unwrap(), weights, "{case}");
}

/// Every file of a finished run.
fn contents(files: &CrashFiles, epochs: usize) -> Vec<Vec<u8>> {
    let checkpoint = format!("checkpoints/step-{:012}.vdn", 10 * epochs);
    let names = ["history.csv", "weights.safetensors", "manifest.json", &checkpoint];
    names.iter().map(|name| files.contents(format!("run/{name}")).unwrap()).collect()
}

fn whole_run(epochs: usize) -> Vec<Vec<u8>> {
    let whole = CrashFiles::new(None);
    run(&whole, epochs, &mut 0).unwrap();
    contents(&whole, epochs)
}

#[test]
fn a_run_that_is_killed_anywhere_ends_in_the_same_bytes() {
    let epochs = 4;
    let expected = whole_run(epochs);
    let scenario = |files: &CrashFiles| {
        let mut acknowledged = 0;
        let _ = run(files, epochs, &mut acknowledged);
        acknowledged
    };
    let check = |files: &CrashFiles, acknowledged: &usize, case: &str| {
        read_only(files, case);
        let mut acknowledged = *acknowledged;
        run(files, epochs, &mut acknowledged).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(contents(files, epochs) == expected, "{case}");
        let manifest = Manifest::read(files, Path::new("run")).unwrap();
        manifest.verify(files, Path::new("run")).unwrap();
        assert!(manifest.finished, "{case}");
        // No temporary files. Two checkpoints may remain whose removal was not durable.
        let names = files.names();
        assert!(names.len() <= 7, "{case}: {names:?}");
        assert!(names.iter().all(|name| !name.contains(".tmp")), "{case}: {names:?}");
    };
    let (faults, disks) = sweep(scenario, check);
    println!("runs: {faults} faults, {disks} disks");
    assert!(faults > 700 && disks > 2000, "{faults} {disks}");
}

#[test]
fn a_run_that_is_killed_again_while_it_resumes_ends_in_the_same_bytes() {
    let epochs = 2;
    let expected = whole_run(epochs);
    let (mut kills, mut disks) = (0, 0);
    for first in 0.. {
        let files = CrashFiles::new(Some(Fault::Crash(first)));
        let mut acknowledged = 0;
        let _ = run(&files, epochs, &mut acknowledged);
        if !files.has_crashed() {
            break;
        }
        for disk in files.after_crash() {
            for second in 0.. {
                let files = disk.copy(Some(Fault::Crash(second)));
                let mut acknowledged = acknowledged;
                let _ = run(&files, epochs, &mut acknowledged);
                if !files.has_crashed() {
                    break;
                }
                kills += 1;
                for (i, disk) in files.after_crash().iter().enumerate() {
                    let case = format!("killed at {first}, then at {second}, disk {i}");
                    read_only(disk, &case);
                    run(disk, epochs, &mut acknowledged.clone())
                        .unwrap_or_else(|e| panic!("{case}: {e}"));
                    assert!(contents(disk, epochs) == expected, "{case}");
                    disks += 1;
                }
            }
        }
    }
    println!("runs killed twice: {kills} pairs, {disks} disks");
    assert!(kills > 1000 && disks > 5000, "{kills} {disks}");
}
