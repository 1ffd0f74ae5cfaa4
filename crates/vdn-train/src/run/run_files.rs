//! [`RunFiles`]: the directory to which a trainer writes during a run.

use crate::error::TrainError;
use crate::run::store::{
    CheckpointStore, DiskFiles, FileSystem, MANIFEST_FILE, Manifest, RunLock, new_run_id,
    remove_stale_temporaries,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prefixes of the files of additional networks in a run: the deterministic twin, and the
/// network that determines the number of epochs.
pub(super) const STAGES: [&str; 2] = ["twin", "choice"];

/// A directory that is locked for one run, and the names of its files.
///
/// Clones share the lock, which is released when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct RunFiles {
    directory: PathBuf,
    prefix: String,
    run: String,
    files: Arc<dyn FileSystem>,
    _lock: Arc<RunLock>,
}

impl RunFiles {
    /// Opens a directory for writing, creates it if necessary, and removes unfinished files of dead
    /// runs.
    ///
    /// ```
    /// use vdn_train::run::RunFiles;
    /// let folder = tempfile::tempdir()?;
    /// let files = RunFiles::open(folder.path())?;
    /// assert!(files.history().ends_with("history.csv"));
    /// // A directory has one writer.
    /// assert!(RunFiles::open(folder.path()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the directory cannot be created, if another run is writing to it, or if
    /// its manifest is damaged.
    pub fn open(directory: &Path) -> Result<Self, TrainError> {
        let files: Arc<dyn FileSystem> = Arc::new(DiskFiles);
        files.create_directory(directory).or_else(|error| match directory.is_dir() {
            true => Ok(()),
            false => Err(TrainError::io(directory)(error)),
        })?;
        let lock = Arc::new(RunLock::acquire(directory)?);
        let own = [directory.to_owned(), directory.join("checkpoints")];
        let others = STAGES.map(|stage| directory.join(stage).join("checkpoints"));
        for folder in own.into_iter().chain(others) {
            if folder.is_dir() {
                remove_stale_temporaries(&*files, &folder)?;
            }
        }
        let run = match directory.join(MANIFEST_FILE).exists() {
            true => Manifest::read(&*files, directory)?.run,
            false => new_run_id(),
        };
        let directory = directory.to_owned();
        Ok(Self { directory, prefix: String::new(), run, files, _lock: lock })
    }

    /// Replaces the file system with `files`, for example one that counts or fails operations.
    /// Opening the directory has used the disk.
    #[must_use]
    pub fn through(self, files: Arc<dyn FileSystem>) -> Self {
        Self { files, ..self }
    }

    /// The files of another network of the same run, whose names begin with `prefix`.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self.clone() }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The unique identifier of this run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The name of a file of this network.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The path of a file of this network.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(self.name(name))
    }

    /// The path of the history, which has one line per epoch.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path("history.csv")
    }

    /// The path of the best weights so far.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.path("weights.safetensors")
    }

    /// The file system that all operations use.
    pub(crate) fn files(&self) -> &dyn FileSystem {
        &*self.files
    }

    /// The folder of this network's checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        match self.prefix.trim_end_matches('-') {
            "" => self.directory.join("checkpoints"),
            other => self.directory.join(other).join("checkpoints"),
        }
    }

    pub(crate) fn store(&self, keep: usize) -> Result<CheckpointStore, TrainError> {
        let folder = self.checkpoints();
        let parent = folder.parent().unwrap_or(&self.directory);
        if !parent.is_dir() {
            self.files.create_directory(parent).map_err(TrainError::io(parent))?;
        }
        Ok(CheckpointStore::new(Arc::clone(&self.files), parent, keep)?)
    }

    /// The current manifest; an empty one of this run before the first checkpoint.
    pub(crate) fn manifest(&self) -> Result<Manifest, TrainError> {
        match self.directory.join(MANIFEST_FILE).exists() {
            true => Ok(Manifest::read(&*self.files, &self.directory)?),
            false => Ok(Manifest::new(self.run.clone())),
        }
    }

    /// Refuses a directory whose run is finished.
    pub(crate) fn expect_unfinished(&self) -> Result<(), TrainError> {
        match self.manifest()?.finished {
            true => Err(TrainError::format(&self.directory, "holds a run that is finished")),
            false => Ok(()),
        }
    }

    /// Completes the manifest of a finished run: adds these files to the files that it has already.
    /// The checkpoints are removed.
    ///
    /// # Errors
    /// Returns an error if a file does not exist or if the manifest cannot be written.
    pub fn finish(&self, names: &[&str]) -> Result<(), TrainError> {
        let mut manifest = self.manifest()?;
        for name in names {
            manifest.add_existing(&*self.files, &self.directory, name)?;
        }
        manifest.finished = true;
        manifest.write(&*self.files, &self.directory)?;
        let others = STAGES.map(|stage| self.directory.join(stage));
        for folder in [self.checkpoints()].into_iter().chain(others) {
            if folder.is_dir() {
                std::fs::remove_dir_all(&folder).map_err(TrainError::io(&folder))?;
            }
        }
        Ok(())
    }
}
