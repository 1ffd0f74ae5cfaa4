//! The directory of a run: its configuration, its history, and its weights.
//!
//! - `config.toml`: the configuration with every setting; training it again gives the same files,
//!   bit for bit, even if defaults change
//! - `history.csv`: one line per epoch, without times, so that runs can be compared byte by byte
//! - `units.npy`: every unit in every epoch: rate, KL, ..., and whether it is living; see
//!   [`UnitHistory`](vdn_train::units::UnitHistory); in a model of several layers
//!   `units-layer1.npy` and so on
//! - `units.csv`: every unit of the best weights, with its measures on the probe set; see
//!   [`UnitReport`](vdn_train::units::UnitReport)
//! - `summary.json`: the test metrics of the model and the baselines, and the training time
//! - `weights.safetensors`: the best epoch's weights
//! - `control.safetensors`: the state of the controllers at the best epoch, if there are any
//! - `report.html`: the page that `vdn report` writes
//! - `scaler.json`: the means and standard deviations of the series
//! - `manifest.json`: the length and checksum of every file, and their common epoch
//! - `checkpoints/`: during the run: the state that it needs to resume after an interruption
//! - `run.lock`: held while a process writes to the directory
//!
//! A twin that is trained beside the model has `twin-history.csv` and `twin-weights.safetensors`.
//!
//! Every file is written under a temporary name, synced and renamed, so that it is either complete
//! or absent.

use crate::config::RunConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use vdn_train::TrainError;
use vdn_train::run::{RunFiles, RunFolder};

/// A run directory.
///
/// ```
/// use vdn_forecast::config::RunConfig;
/// use vdn_forecast::run::RunDirectory;
/// let directory = tempfile::tempdir()?;
/// let run = RunDirectory::create(&directory.path().join("run"))?;
/// run.write_config(&RunConfig::default())?;
/// assert_eq!(RunDirectory::open(run.path())?.read_config()?, RunConfig::default());
/// // A directory holds one run.
/// assert!(RunDirectory::create(run.path()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunDirectory {
    folder: RunFolder,
}

impl RunDirectory {
    /// Creates and locks a directory for a new run. An existing directory must be empty. If several
    /// runs ask for the same directory at once, only one of them gets it.
    ///
    /// # Errors
    /// Fails if the directory cannot be created or read, if it contains a run or other files, and
    /// if another run is writing to it.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::create(path)? })
    }

    /// Opens and locks the directory of an unfinished run, to resume it.
    ///
    /// # Errors
    /// Fails if the directory contains no run, a finished run, or a run of an older version, and if
    /// another process is writing to it.
    pub fn open_for_writing(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::open_for_writing(path)? })
    }

    /// Opens the directory of an earlier run.
    ///
    /// # Errors
    /// Fails if it contains no configuration.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::open(path)? })
    }

    /// Returns the files to write to, if the directory is open for writing.
    #[must_use]
    pub fn files(&self) -> Option<&RunFiles> {
        self.folder.files()
    }

    /// Checks by the manifest that all files belong to the same state of one run.
    ///
    /// # Errors
    /// Fails if
    ///
    /// - a file is missing, or does not belong to the epoch in the manifest;
    /// - there is no manifest, because the run was interrupted before its first checkpoint, or was
    ///   written by an older version;
    /// - there are no weights yet.
    pub fn verify(&self) -> Result<(), TrainError> {
        self.folder.verify()
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// Returns the path of the weights of the model or of its twin.
    #[must_use]
    pub fn weights(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-weights.safetensors" } else { "weights.safetensors" })
    }

    /// Returns the path of the history of the model or of its twin.
    #[must_use]
    pub fn history(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-history.csv" } else { "history.csv" })
    }

    /// Returns the path of the controllers' state of the model or of its twin.
    #[must_use]
    pub fn control(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-control.safetensors" } else { "control.safetensors" })
    }

    /// Returns the path of the record of every unit in every epoch; a twin has none.
    #[must_use]
    pub fn units(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-units.npy" } else { "units.npy" })
    }

    /// Deletes the files of a run that failed before it had results to keep. A directory with
    /// weights or a checkpoint stays unchanged.
    pub(crate) fn discard_without_weights(&self) {
        self.folder.discard_without_weights(&["scaler.json"]);
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_config(&self, config: &RunConfig) -> Result<(), TrainError> {
        self.folder.write_text("config.toml", &config.to_toml()?)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not a configuration.
    pub fn read_config(&self) -> Result<RunConfig, TrainError> {
        RunConfig::load(&self.file("config.toml"))
    }

    /// Writes any value as JSON.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or if a number is not finite.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
        self.folder.write_json(name, value)
    }

    pub(super) fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V, TrainError> {
        self.folder.read_json(name)
    }
}
