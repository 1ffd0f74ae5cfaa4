//! The checkpoints of a run: the last few, each one whole.

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

/// Saves checkpoints of a run and finds the newest one that is whole.
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

/// A checkpoint that is durable.
#[derive(Debug)]
pub struct Saved {
    /// Its file.
    pub path: PathBuf,
    /// The length of the file.
    pub bytes: u64,
    /// The time it took in seconds, removing old checkpoints included.
    pub seconds: f64,
    /// Older checkpoints that should have been removed and could not be, with the reasons. They do
    /// no harm but take space; the next save tries again.
    pub unremoved: Vec<StoreError>,
}

/// What [`CheckpointStore::latest`] found.
#[derive(Debug)]
pub struct Latest {
    /// The step and the contents of the newest whole checkpoint, if there is one.
    pub checkpoint: Option<(u64, Sections)>,
    /// Newer checkpoints that are damaged, newest first: what is wrong with each. Tell the user.
    pub skipped: Vec<StoreError>,
}

impl CheckpointStore {
    /// The store of the run in directory `run`, which keeps the last `keep` checkpoints. Nothing is
    /// read or written yet.
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

    /// Where the checkpoints are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of the checkpoint of a step.
    #[must_use]
    pub fn path(&self, step: u64) -> PathBuf {
        self.directory.join(format!("step-{step:012}.vdn"))
    }

    /// Saves a checkpoint as one transaction, then removes the ones that are no longer kept.
    ///
    /// When it returns, the checkpoint is durable and [`latest`](Self::latest) finds it. When it
    /// fails or the program dies, [`latest`](Self::latest) finds it or the one before, whole.
    ///
    /// Checkpoints of *later* steps are left from a future that the run has given up by resuming
    /// from an earlier step. They are removed, so that the newest step is always the last one
    /// saved.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the checkpoint could not be written, or a later one not be removed.
    /// [`StoreError::Mismatch`]: the names of the sections are refused, see [`write_container`].
    pub fn save(&self, step: u64, sections: &[(&str, &[u8])]) -> Result<Saved, StoreError> {
        let start = Instant::now();
        self.create_directory()?;
        let path = self.path(step);
        let bytes = write_container(&*self.files, &path, sections)?;
        // The new checkpoint is durable: only from here on may others go.
        let steps = self.steps()?;
        // Ascending and one by one: while the last acknowledged one, which is the highest, is
        // there, it is what `latest` finds.
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

    /// Loads the newest checkpoint that is whole.
    ///
    /// Damaged files are skipped and reported. No other file is skipped: one that cannot be read
    /// now, or that a newer version of the program wrote, may be good, and going on from an older
    /// one would remove it.
    ///
    /// # Errors
    /// [`StoreError::Read`], [`StoreError::Version`]: a file that may be good cannot be read.
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
                    // A run that is going on has removed it after the directory was listed.
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
    /// The file cannot be read or is refused, see [`read_container`].
    pub fn load(&self, path: &Path) -> Result<Sections, StoreError> {
        read_container(&*self.files, path)
    }

    /// The steps of which there are checkpoints, ascending. Other files are ignored.
    ///
    /// # Errors
    /// [`StoreError::Read`]: the directory exists and cannot be read.
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

    /// Makes the directory, and its name durable: without that, nothing in it would be.
    ///
    /// The name is synced even if the directory exists, because whoever created it may have failed
    /// before that; a directory without changes is synced at once.
    fn create_directory(&self) -> Result<(), StoreError> {
        let directory = &self.directory;
        let create = self.files.create_directory(directory);
        create
            .and_then(|()| self.files.sync_directory(parent(directory)))
            .map_err(StoreError::write(directory, "create the directory"))
    }
}
