//! The cost of an epoch on disk: the same at the end of a long run as at its start.

use super::network::{Regression, rows};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vdn_train::config::Selection;
use vdn_train::run::RunFiles;
use vdn_train::run::store::{DiskFiles, FileSystem, ReadableFile, WritableFile};
use vdn_train::train::{Progress, Trainer};

/// The disk, with a count of all bytes that are written and read.
#[derive(Clone, Debug, Default)]
struct Counting {
    written: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile(Box<dyn WritableFile>, Arc<AtomicU64>);

impl WritableFile for CountingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
}

impl Counting {
    fn counted(&self, file: Box<dyn WritableFile>) -> Box<dyn WritableFile> {
        Box::new(CountingFile(file, Arc::clone(&self.written)))
    }
}

impl FileSystem for Counting {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        DiskFiles.create(path).map(|file| self.counted(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        DiskFiles.append(path).map(|file| self.counted(file))
    }

    fn open(&self, path: &Path) -> io::Result<ReadableFile> {
        let file = DiskFiles.open(path)?;
        self.read.fetch_add(file.length, Ordering::Relaxed);
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        DiskFiles.remove(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DiskFiles.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        DiskFiles.sync_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        DiskFiles.list(directory)
    }
}

#[test]
fn late_epochs_cost_no_more_than_early_ones() {
    const EPOCHS: usize = 121;
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::default();
    let files = RunFiles::open(folder.path()).unwrap().through(Arc::new(counting.clone()));
    let mut trainer = Trainer { files: Some(files), ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch) = (EPOCHS, 24);
    // Every epoch is the best so far, so its weights are published.
    trainer.train.selection = Selection::Last;
    trainer.train.checkpoint_every_epochs = 1;
    let (network, mut parameters) = Regression::new();
    let mut at = vec![[0; 2]];
    trainer
        .train(&network, &mut parameters, &rows(1.0), |event| {
            if let Progress::Checkpoint { .. } = event {
                at.push([&counting.written, &counting.read].map(|n| n.load(Ordering::Relaxed)));
            }
        })
        .unwrap();
    assert_eq!(at.len(), EPOCHS + 1, "a checkpoint after every epoch");
    let cost = |from: usize, to: usize| [0, 1].map(|i| at[to][i] - at[from][i]);
    let ([early, read_early], [late, read_late]) = (cost(10, 20), cost(110, 120));
    println!(
        "epochs 10 to 20: {early} bytes written, {read_early} read; later {late}, {read_late}"
    );
    // Lengths and numbers with more or fewer digits, of at most 24 characters, in lines of 30
    // numbers and in a manifest of five files.
    let digits = 10 * 24 * (30 + 5 * 2 + 2);
    assert!(late.abs_diff(early) <= digits, "{early} bytes, then {late}");
    assert!(read_late.abs_diff(read_early) <= digits, "{read_early} bytes, then {read_late}");
    // The bytes if history and units were rewritten: ten times a hundred epochs.
    let history = std::fs::metadata(folder.path().join("history.csv")).unwrap().len();
    let units = std::fs::metadata(folder.path().join("units.npy")).unwrap().len();
    assert!(10 * history.min(units) > 5 * digits, "the test would not see it: {history} {units}");
}
