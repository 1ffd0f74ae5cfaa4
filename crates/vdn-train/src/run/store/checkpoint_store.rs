//! The checkpoints of a run: the last few of them, each one complete.

use super::atomic_file::parent;
use super::container::{read_container, write_container};
use super::file_system::FileSystem;
use super::sections::Sections;
use crate::error::store::StoreError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The directory of the checkpoints, inside a run.
pub const CHECKPOINTS: &str = "checkpoints";

/// Saves checkpoints of a run, and finds the newest intact one.
///
/// Only the holder of the run's [`RunLock`](super::RunLock) may save; anyone may read.
///
/// ```
/// use std::sync::Arc;
/// use vdn_train::run::store::{CheckpointStore, DiskFiles};
///
/// let run = tempfile::tempdir()?;
/// let store = CheckpointStore::new(Arc::new(DiskFiles), run.path(), 2)?;
/// for step in [100, 200, 300] {
///     store.save(step, &[("weights", b"..."), ("step", step.to_string().as_bytes())])?;
/// }
/// let latest = store.latest()?;
/// assert!(latest.skipped.is_empty());
/// let (step, sections) = latest.checkpoint.unwrap();
/// assert_eq!((step, sections.get("step")?), (300, b"300".as_slice()));
/// assert_eq!(std::fs::read_dir(store.directory())?.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    files: Arc<dyn FileSystem>,
    directory: PathBuf,
    keep: usize,
}

/// A durable checkpoint.
#[derive(Debug)]
pub struct Saved {
    /// The path of the file.
    pub path: PathBuf,
    /// The length of the file.
    pub bytes: u64,
    /// The time of saving in seconds, including the removal of old checkpoints.
    pub seconds: f64,
    /// Older checkpoints that could not be removed, with the reasons. They only take space; the
    /// next save tries again.
    pub unremoved: Vec<StoreError>,
}

/// The result of [`CheckpointStore::latest`].
#[derive(Debug)]
pub struct Latest {
    /// The step and the contents of the newest intact checkpoint, if there is one.
    pub checkpoint: Option<(u64, Sections)>,
    /// The errors of newer, damaged checkpoints, newest first. Report them to the user.
    pub skipped: Vec<StoreError>,
}

impl CheckpointStore {
    /// Creates the store of the run in directory `run`, which keeps the last `keep` checkpoints. It
    /// reads and writes nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Setting`]: `keep` is 0.
    pub fn new(files: Arc<dyn FileSystem>, run: &Path, keep: usize) -> Result<Self, StoreError> {
        if keep == 0 {
            return Err(StoreError::Setting {
                key: "keep",
                value: "0".into(),
                domain: "at least 1",
            });
        }
        Ok(Self { files, directory: run.join(CHECKPOINTS), keep })
    }

    /// The directory of the checkpoints.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of the checkpoint of a step.
    #[must_use]
    pub fn path(&self, step: u64) -> PathBuf {
        self.directory.join(format!("step-{step:012}.vdn"))
    }

    /// Saves a checkpoint as one transaction, then removes checkpoints that are no longer kept.
    ///
    /// When it returns, the checkpoint is durable and [`latest`](Self::latest) finds it. When it
    /// fails or the program dies, [`latest`](Self::latest) finds this checkpoint or the previous
    /// one, intact.
    ///
    /// Checkpoints of *later* steps remain if a run was resumed from an earlier step. They are
    /// removed, so that the newest step is always the last one that was saved.
    ///
    /// # Errors
    /// * [`StoreError::Write`]: the checkpoint could not be written, or a later one could not be
    ///   removed.
    /// * [`StoreError::Mismatch`]: the names of the sections are refused, see [`write_container`].
    pub fn save(&self, step: u64, sections: &[(&str, &[u8])]) -> Result<Saved, StoreError> {
        let start = Instant::now();
        self.create_directory()?;
        let path = self.path(step);
        let bytes = write_container(&*self.files, &path, sections)?;
        // The new checkpoint is durable. Only now may others be removed.
        let steps = self.steps()?;
        // They are removed one by one in ascending order. As long as the last acknowledged one, the
        // highest, exists, `latest` finds it.
        for &later in steps.iter().filter(|&&other| other > step) {
            let path = self.path(later);
            let remove = self.files.remove(&path);
            remove
                .and_then(|()| self.files.sync_directory(&self.directory))
                .map_err(StoreError::write(&path, "remove the checkpoint of a later step"))?;
        }
        let older: Vec<u64> = steps.into_iter().filter(|&other| other <= step).collect();
        let mut unremoved = Vec::new();
        for &old in &older[..older.len().saturating_sub(self.keep)] {
            let path = self.path(old);
            if let Err(source) = self.files.remove(&path) {
                unremoved.push(StoreError::write(&path, "remove the old checkpoint")(source));
            }
        }
        Ok(Saved { path, bytes, seconds: start.elapsed().as_secs_f64(), unremoved })
    }

    /// Loads the newest intact checkpoint.
    ///
    /// Damaged files are skipped and reported. Other files are not skipped: a file that cannot be
    /// read now, or that a newer version of the program wrote, may be good, and resuming from an
    /// older checkpoint would remove it.
    ///
    /// # Errors
    /// [`StoreError::Read`], [`StoreError::Version`]: a file cannot be read although it may be
    /// good.
    pub fn latest(&self) -> Result<Latest, StoreError> {
        let mut attempts = 0;
        'again: loop {
            attempts += 1;
            let mut skipped = Vec::new();
            for step in self.steps()?.into_iter().rev() {
                match self.load(&self.path(step)) {
                    Ok(sections) => {
                        return Ok(Latest { checkpoint: Some((step, sections)), skipped });
                    }
                    Err(error) if error.is_damage() => skipped.push(error),
                    // A running process has removed the file after the directory was listed.
                    Err(StoreError::Read { source, .. })
                        if source.kind() == ErrorKind::NotFound && attempts < 10 =>
                    {
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(Latest { checkpoint: None, skipped });
        }
    }

    /// Loads one checkpoint.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or is refused, see [`read_container`].
    pub fn load(&self, path: &Path) -> Result<Sections, StoreError> {
        read_container(&*self.files, path)
    }

    /// The steps that have checkpoints, in ascending order. Other files are ignored.
    ///
    /// # Errors
    /// [`StoreError::Read`]: the directory exists but cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>, StoreError> {
        let names = match self.files.list(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(StoreError::read(&self.directory, "list the directory"))?,
        };
        let step = |name: &str| -> Option<u64> {
            let step = name.strip_prefix("step-")?.strip_suffix(".vdn")?.parse().ok()?;
            (self.path(step).file_name()? == name).then_some(step)
        };
        let mut steps: Vec<u64> = names.iter().filter_map(|name| step(name.to_str()?)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Creates the directory and makes its name durable. Otherwise nothing in it would be durable.
    ///
    /// The name is synced even if the directory exists, because its creator may have failed before
    /// that. Syncing an unchanged directory is fast.
    fn create_directory(&self) -> Result<(), StoreError> {
        let directory = &self.directory;
        let create = self.files.create_directory(directory);
        create
            .and_then(|()| self.files.sync_directory(parent(directory)))
            .map_err(StoreError::write(directory, "create the directory"))
    }
}
