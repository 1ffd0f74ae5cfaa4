//! Tests on the real disk, for behaviour that a model cannot show.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vdn_train::run::store::{
    AppendLog, CheckpointConfig, CheckpointReason, CheckpointStore, DiskFiles, FileSystem,
    Interrupt, LOCK_FILE, LogMark, Moment, RunLock, StoreError, read_container, write_atomically,
};

#[test]
fn checkpoints_and_logs_work_on_a_real_disk() {
    let run = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(Arc::new(DiskFiles), run.path(), 2).unwrap();
    assert!(store.latest().unwrap().checkpoint.is_none());
    let weights = vec![5; 300_000];
    for step in 1..=4 {
        store.save(step, &[("weights", &weights), ("state", b"s")]).unwrap();
    }
    assert_eq!(store.steps().unwrap(), [3, 4]);
    let (step, sections) = store.latest().unwrap().checkpoint.unwrap();
    assert_eq!((step, sections.get("weights").unwrap()), (4, &weights[..]));
    let path = run.path().join("log");
    let mut log = AppendLog::open(&DiskFiles, &path, LogMark::EMPTY).unwrap();
    log.append(&weights).unwrap();
    let mark = log.sync().unwrap();
    log.append(b"more").unwrap();
    drop(log);
    let mut log = AppendLog::open(&DiskFiles, &path, mark).unwrap();
    log.append(b"other").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [&weights[..], b"other"].concat());
}

#[test]
fn what_is_not_a_file_or_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path(), Path::new("/dev/zero")] {
        if path.exists() {
            let error = read_container(&DiskFiles, path).unwrap_err().to_string();
            assert!(error.ends_with("cannot open the file: is not a regular file"), "{error}");
        }
    }
    let error = write_atomically(&DiskFiles, Path::new("no/such/place/file"), &[b""]).unwrap_err();
    assert!(error.to_string().starts_with("no/such/place/file: cannot create the file"), "{error}");
    // A directory in place of the file: the rename fails and leaves nothing behind.
    let taken = directory.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    write_atomically(&DiskFiles, &taken, &[b"x"]).unwrap_err();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let exists = DiskFiles.create(&taken).unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_lock_holds_between_threads_and_ends_with_its_owner() {
    let run = tempfile::tempdir().unwrap();
    let lock = RunLock::acquire(run.path()).unwrap();
    let other = std::thread::scope(|s| s.spawn(|| RunLock::acquire(run.path())).join().unwrap());
    let error = other.unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { holder: Some(id), .. } if *id == std::process::id())
    );
    let line = error.to_string();
    assert!(line.starts_with(&run.path().display().to_string()), "{line}");
    drop(lock);
    // A number from a dead process has no meaning, and neither has any other content of the file.
    for contents in ["1\n", "", "no number", &"9".repeat(100_000)] {
        std::fs::write(run.path().join(LOCK_FILE), contents).unwrap();
        let lock = RunLock::acquire(run.path()).unwrap();
        let text = std::fs::read_to_string(run.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(lock);
    }
    // If many try at once, one gets it.
    let locks: Vec<_> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..8).map(|_| s.spawn(|| RunLock::acquire(run.path()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(locks.iter().filter(|lock| lock.is_ok()).count(), 1);
    let error = RunLock::acquire(Path::new("no/such/run")).unwrap_err().to_string();
    assert!(error.starts_with("no/such/run/run.lock: cannot open the lock file"), "{error}");
}

#[test]
fn a_lock_of_a_killed_process_does_not_block() {
    const CHILD: &str = "RUN_STORE_TEST_LOCK";
    if let Ok(directory) = std::env::var(CHILD) {
        let _lock = RunLock::acquire(Path::new(&directory)).unwrap();
        // Until it is killed.
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let run = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::disk::a_lock_of_a_killed_process_does_not_block"])
        .env(CHILD, run.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let written = format!("{}\n", child.id());
    let path = run.path().join(LOCK_FILE);
    while std::fs::read_to_string(&path).ok().as_deref() != Some(&written) {
        assert!(child.try_wait().unwrap().is_none(), "the child ended");
        std::thread::sleep(Duration::from_millis(2));
    }
    let error = RunLock::acquire(run.path()).unwrap_err().to_string();
    assert!(error.ends_with(&format!("(process {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    RunLock::acquire(run.path()).unwrap();
}

#[test]
fn the_settings_decide_and_are_checked() {
    let moment = |step, epoch_ended, seconds| {
        let since_last = Duration::from_secs(seconds);
        Moment { step, epoch_ended, since_last }
    };
    let config = CheckpointConfig::default();
    let all = CheckpointConfig {
        checkpoint_every_steps: 10,
        checkpoint_every_epochs: 2,
        checkpoint_every_minutes: 1.5,
        keep: 1,
    };
    let off = CheckpointConfig { checkpoint_every_epochs: 0, ..config };
    use CheckpointReason::{Epochs, Minutes, Steps};
    let cases = [
        (config, moment(7, None, 1_000_000), None),
        (config, moment(7, Some(1), 0), Some(Epochs)),
        (all, moment(7, Some(1), 0), None),
        (all, moment(7, Some(2), 0), Some(Epochs)),
        (all, moment(20, Some(3), 0), Some(Steps)),
        (all, moment(21, None, 89), None),
        (all, moment(21, None, 90), Some(Minutes)),
        (all, moment(0, None, 1000), None),
        (off, moment(100, Some(100), 1000), None),
    ];
    for (config, moment, expected) in cases {
        config.validate().unwrap();
        assert_eq!(config.due(moment), expected, "{config:?} {moment:?}");
    }
    for minutes in [f64::NAN, f64::INFINITY, -1.0, 1e9] {
        let config = CheckpointConfig { checkpoint_every_minutes: minutes, ..config };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with("train.checkpoint_every_minutes = "), "{error}");
        assert_eq!(config.due(moment(1, None, 0)), None, "{minutes}");
    }
    for keep in [0, 1001, usize::MAX] {
        let error = CheckpointConfig { keep, ..config }.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("train.keep = {keep}: has to be")), "{error}");
    }
    let parsed: Result<CheckpointConfig, _> = serde_json::from_str(r#"{"keep": 3, "kept": 1}"#);
    assert!(parsed.is_err());
}

#[test]
fn an_interrupt_is_seen_by_all_clones() {
    let interrupt = Interrupt::new();
    let other = Interrupt::from(interrupt.flag());
    interrupt.flag().store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(interrupt.is_requested() && other.is_requested());
}
