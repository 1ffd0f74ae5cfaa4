//! [`RunFolder`]: the directory of a run. It is created for one run, locked while the run goes on,
//! and verified when it is read.
//!
//! Every run has these files; an application adds its own:
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration with every setting; it makes a directory a run directory |
//! | `history.csv`, `units.npy`, `units.csv` | epochs, units over epochs, units of the best weights |
//! | `summary.json` | scores on the test examples |
//! | `weights.safetensors`, `control.safetensors` | the best weights, the controllers' state at them |
//! | `manifest.json` | length and checksum of every file, and the epoch that all of them belong to |
//! | `checkpoints/` | during the run: the state for resuming after an interruption |
//! | `run.lock` | held while a process writes to the directory |
//!
//! The files of another network of the run have its name as a prefix: `twin-weights.safetensors`.
//!
//! Every file is written under a temporary name, synced and renamed, so it is either complete or
//! absent.

use crate::error::TrainError;
use crate::run::atomic_file::write_atomically;
use crate::run::bounded::read_bounded;
use crate::run::run_files::{RunFiles, STAGES};
use crate::run::store::{DiskFiles, LOCK_FILE, MANIFEST_FILE, Manifest};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// The largest JSON file of a run that is read: 64 MiB, enough for the names of half a million
/// series.
pub const MOST_JSON_BYTES: u64 = 64 << 20;

const OLDER_VERSION: &str =
    "has no manifest.json: it was written by an older version; train it again with its config.toml";

/// The directory of a run.
///
/// ```
/// use vdn_train::run::RunFolder;
/// let directory = tempfile::tempdir()?;
/// let run = RunFolder::create(&directory.path().join("run"))?;
/// run.write_text("config.toml", "[train]\n")?;
/// assert_eq!(RunFolder::open(run.path())?.read_text("config.toml")?, "[train]\n");
/// // A directory holds one run.
/// assert!(RunFolder::create(run.path()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The outermost directory that was created for the run.
    created: Option<PathBuf>,
    /// The files to write to, if the directory is open for writing.
    files: Option<RunFiles>,
}

impl RunFolder {
    /// Creates and locks a directory for a new run. An existing directory must be empty. If several
    /// runs ask for the same directory at once, one gets it.
    ///
    /// # Errors
    /// Returns an error if the directory cannot be created or read, if it already holds a run or
    /// anything else, or if another run is writing to it.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        let missing = path.ancestors().filter(|p| !p.as_os_str().is_empty() && !p.exists()).last();
        let created = missing.map(Path::to_owned);
        std::fs::create_dir_all(path).map_err(TrainError::io(path))?;
        let mut run = Self { path: path.to_owned(), created, files: None };
        if run.file("config.toml").exists() {
            let reason = match run.file("summary.json").exists() {
                true => {
                    "already holds a run; choose another directory, or delete this one".to_owned()
                }
                // The run was killed or is still going on.
                false => run.how_to_resume(),
            };
            return Err(TrainError::format(path, reason));
        }
        // The check comes before the lock file is created, so that nothing is added to an existing
        // directory. It is repeated afterwards, because another run may have been faster.
        expect_empty(path)?;
        let files = RunFiles::open(path)?;
        expect_empty(path)?;
        run.files = Some(files);
        Ok(run)
    }

    /// The instruction for a run that is not finished.
    fn how_to_resume(&self) -> String {
        let path = self.path.display();
        format!("holds a run that is not finished; go on with it by `vdn train --resume {path}`")
    }

    /// Opens and locks the directory of an unfinished run to resume it.
    ///
    /// # Errors
    /// Returns an error if it holds no run, a finished run, or a run of an older version, or if
    /// another process is writing to it.
    pub fn open_for_writing(path: &Path) -> Result<Self, TrainError> {
        let mut run = Self::open(path)?;
        run.expect_unfinished()?;
        run.files = Some(RunFiles::open(path)?);
        // The previous holder of the lock may have finished the run.
        run.expect_unfinished()?;
        Ok(run)
    }

    fn expect_unfinished(&self) -> Result<(), TrainError> {
        let reason = match self.file(MANIFEST_FILE).exists() {
            true if !Manifest::read(&DiskFiles, &self.path)?.finished => return Ok(()),
            true => "holds a run that is finished: nothing is left to resume",
            false if self.file("summary.json").exists() => OLDER_VERSION,
            false => return Ok(()),
        };
        Err(TrainError::format(&self.path, reason))
    }

    /// The files to write to, if the directory is open for writing.
    #[must_use]
    pub fn files(&self) -> Option<&RunFiles> {
        self.files.as_ref()
    }

    /// Checks by the manifest that the files belong to one moment of one run.
    ///
    /// # Errors
    /// Returns an error if a file is missing or belongs to another epoch than the manifest, or if
    /// there are no weights yet. There is no manifest if the run was interrupted before its first
    /// checkpoint or was written by an older version; this is an error, too.
    pub fn verify(&self) -> Result<(), TrainError> {
        if !self.file(MANIFEST_FILE).exists() {
            let reason = match self.file("summary.json").exists() {
                true => OLDER_VERSION.to_owned(),
                false => self.how_to_resume(),
            };
            return Err(TrainError::format(&self.path, reason));
        }
        let manifest = Manifest::read(&DiskFiles, &self.path)?;
        let weights = manifest.files().any(|(name, _)| name == "weights.safetensors");
        if !manifest.finished && !weights {
            return Err(TrainError::format(&self.path, self.how_to_resume()));
        }
        manifest.verify(&DiskFiles, &self.path).map_err(|error| match manifest.finished {
            true => error.into(),
            false => TrainError::format(&self.path, format!("{error}; {}", self.how_to_resume())),
        })
    }

    /// Opens the directory of an earlier run.
    ///
    /// # Errors
    /// Returns an error if it has no configuration.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let run = Self { path: path.to_owned(), created: None, files: None };
        if !run.file("config.toml").is_file() {
            return Err(TrainError::format(path, "is not a run directory (it has no config.toml)"));
        }
        Ok(run)
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The weights of the run's own network.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.file("weights.safetensors")
    }

    /// Removes the files of a run that failed before it had a result: the files that every run has,
    /// and the files `own` of the application. If there are weights or a checkpoint, everything
    /// stays.
    pub fn discard_without_weights(&self, own: &[&str]) {
        let saved = |folder: &str| {
            std::fs::read_dir(self.file(folder)).is_ok_and(|entries| {
                entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("step-"))
            })
        };
        let folders = STAGES.map(|stage| format!("{stage}/checkpoints"));
        let checkpoint = saved("checkpoints") || folders.iter().any(|folder| saved(folder));
        if checkpoint || self.weights().exists() {
            return;
        }
        let common = [
            "config.toml",
            "history.csv",
            "control.safetensors",
            "control.csv",
            "units.csv",
            MANIFEST_FILE,
            LOCK_FILE,
        ];
        for folder in std::iter::once("checkpoints").chain(STAGES) {
            let _ = std::fs::remove_dir_all(self.file(folder));
        }
        // The directory was empty. Files that cannot be removed stay, because the error that led
        // here is the one to report.
        for name in common.iter().chain(own) {
            let _ = std::fs::remove_file(self.file(name));
        }
        for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("units") && name.ends_with(".npy") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let Some(created) = &self.created else { return };
        for directory in self.path.ancestors().take_while(|p| p.starts_with(created)) {
            let _ = std::fs::remove_dir(directory);
        }
    }

    /// Writes a text file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), TrainError> {
        write_atomically(&self.file(name), text.as_bytes())
    }

    /// Reads a text file of at most 64 MiB.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is larger, or is not UTF-8.
    pub fn read_text(&self, name: &str) -> Result<String, TrainError> {
        let path = self.file(name);
        let bytes = read_bounded(&path, MOST_JSON_BYTES)?;
        String::from_utf8(bytes).map_err(|error| TrainError::format(&path, error.utf8_error()))
    }

    /// Writes any value as JSON.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written or a number is not finite.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
        let path = self.file(name);
        let mut text =
            serde_json::to_string_pretty(value).map_err(|e| TrainError::format(&path, e))?;
        text.push('\n');
        write_atomically(&path, text.as_bytes())
    }

    /// Reads a value from a JSON file of at most 64 MiB.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is larger, or does not hold such a value.
    pub fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V, TrainError> {
        let path = self.file(name);
        let text = read_bounded(&path, MOST_JSON_BYTES)?;
        serde_json::from_slice(&text).map_err(|e| TrainError::format(&path, e))
    }
}

/// Refuses a directory that is not empty. It may hold the remains of a run that was killed while it
/// wrote its first file: a lock, and that file under a temporary name.
fn expect_empty(path: &Path) -> Result<(), TrainError> {
    for entry in std::fs::read_dir(path).map_err(TrainError::io(path))? {
        let name = entry.map_err(TrainError::io(path))?.file_name();
        let first = name.to_string_lossy().starts_with(".config.toml.tmp-");
        if name != LOCK_FILE && !first {
            return Err(TrainError::format(path, "is not empty; choose another directory"));
        }
    }
    Ok(())
}
