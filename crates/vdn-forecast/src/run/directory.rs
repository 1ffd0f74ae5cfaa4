//! The directory of a run: what was asked for, what happened, and the weights.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration with every setting of the model; training it again gives the same files, bit for bit, whatever becomes of the defaults |
//! | `history.csv` | one line per epoch; no times in it, so that runs can be compared byte by byte |
//! | `units.npy` | every unit in every epoch: rate, KL, ..., and whether it lives; see [`UnitHistory`](vdn_train::units::UnitHistory); in a model of several layers `units-layer1.npy` and so on |
//! | `units.csv` | every unit of the best weights, with what was measured on the probe set; see [`UnitReport`](vdn_train::units::UnitReport) |
//! | `summary.json` | the test metrics of the model and the baselines, and how long it took |
//! | `weights.safetensors` | the best epoch's weights |
//! | `control.safetensors` | the controllers' state at the best epoch, if there are any |
//! | `report.html` | the page that `vdn report` writes |
//! | `scaler.json` | what the series were standardised with |
//! | `manifest.json` | the length and checksum of every file, and the epoch that all of them belong to |
//! | `checkpoints/` | while the run goes on: everything that it needs to go on after an interruption |
//! | `run.lock` | held while a process writes to the directory |
//!
//! A twin trained beside the model has `twin-history.csv` and `twin-weights.safetensors`.
//!
//! Every file is written under a temporary name, synced and renamed: it is whole or not there.

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
    /// A new directory for a run, made if it is not there, and locked; it must be empty. Of several
    /// runs that ask for one directory at once, one gets it.
    ///
    /// # Errors
    /// It cannot be made or read, it already holds a run, or something else, or another run is
    /// writing to it.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::create(path)? })
    }

    /// The directory of a run that is not finished, locked, to go on with it.
    ///
    /// # Errors
    /// It holds no run, a finished one, or one of an older version; another process is writing to
    /// it.
    pub fn open_for_writing(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::open_for_writing(path)? })
    }

    /// The directory of an earlier run.
    ///
    /// # Errors
    /// It holds no configuration.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { folder: RunFolder::open(path)? })
    }

    /// The files to write to, where the directory is open for writing.
    #[must_use]
    pub fn files(&self) -> Option<&RunFiles> {
        self.folder.files()
    }

    /// Checks that the files are those of one moment of one run, by its manifest.
    ///
    /// # Errors
    /// A file is missing, or not of the epoch that the manifest names; there is no manifest,
    /// because the run was interrupted before its first checkpoint, or written by an older version;
    /// there are no weights yet.
    pub fn verify(&self) -> Result<(), TrainError> {
        self.folder.verify()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// The path of the weights, of the model or of its twin.
    #[must_use]
    pub fn weights(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-weights.safetensors" } else { "weights.safetensors" })
    }

    /// The path of the history, of the model or of its twin.
    #[must_use]
    pub fn history(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-history.csv" } else { "history.csv" })
    }

    /// The path of the controllers' state, of the model or of its twin.
    #[must_use]
    pub fn control(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-control.safetensors" } else { "control.safetensors" })
    }

    /// The path of every unit in every epoch; a twin writes none.
    #[must_use]
    pub fn units(&self, twin: bool) -> PathBuf {
        self.file(if twin { "twin-units.npy" } else { "units.npy" })
    }

    /// Takes back what a run wrote that failed before it had anything to keep; with weights or a
    /// checkpoint everything stays.
    pub(crate) fn discard_without_weights(&self) {
        self.folder.discard_without_weights(&["scaler.json"]);
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, config: &RunConfig) -> Result<(), TrainError> {
        self.folder.write_text("config.toml", &config.to_toml()?)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// The file cannot be read or is not a configuration.
    pub fn read_config(&self) -> Result<RunConfig, TrainError> {
        RunConfig::load(&self.file("config.toml"))
    }

    /// Writes any value as JSON.
    ///
    /// # Errors
    /// The file cannot be written, or a number is not finite.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
        self.folder.write_json(name, value)
    }

    pub(super) fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V, TrainError> {
        self.folder.read_json(name)
    }
}
