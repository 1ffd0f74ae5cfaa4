//! The directory of a run: what was asked for, what happened, and the weights.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration with every setting of the model; training it again gives the same files, bit for bit, whatever becomes of the defaults |
//! | `history.csv` | one line per epoch; no times in it, so that runs can be compared byte by byte |
//! | `units.npy` | every unit in every epoch: rate, KL, ..., and whether it lives; see [`UnitHistory`](vdn_train::UnitHistory); in a model of several layers `units-layer1.npy` and so on |
//! | `units.csv` | every unit of the best weights, with what was measured on the probe set; see [`UnitReport`](vdn_train::UnitReport) |
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
use vdn_model::MAX_DEPTH;
use vdn_train::TrainError;
use vdn_train::layer_file;
use vdn_train::read_bounded;
use vdn_train::run::RunFiles;
use vdn_train::run::store::{DiskFiles, LOCK_FILE, MANIFEST_FILE, Manifest};
use vdn_train::write_atomically;

/// The largest JSON file that is read: 64 MiB, which name half a million series.
pub(super) const MOST_JSON_BYTES: u64 = 64 << 20;

const OLDER_VERSION: &str =
    "has no manifest.json: it was written by an older version; train it again with its config.toml";

/// A run directory.
///
/// ```
/// use vdn_forecast::{RunConfig, RunDirectory};
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
    path: PathBuf,
    /// The outermost directory that was made for it.
    created: Option<PathBuf>,
    /// Where it is open for writing.
    files: Option<RunFiles>,
}

impl RunDirectory {
    /// A new directory for a run, made if it is not there, and locked; it must be empty. Of several
    /// runs that ask for one directory at once, one gets it.
    ///
    /// # Errors
    /// It cannot be made or read, it already holds a run, or something else, or another run is
    /// writing to it.
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
                // Killed, or still going on.
                false => run.how_to_resume(),
            };
            return Err(TrainError::format(path, reason));
        }
        // Looked at before the lock is made, so that nothing is added to what is there, and after,
        // because another run may have been faster.
        expect_empty(path)?;
        let files = RunFiles::open(path)?;
        expect_empty(path)?;
        run.files = Some(files);
        Ok(run)
    }

    /// What is to be done with a run that is not finished.
    fn how_to_resume(&self) -> String {
        let path = self.path.display();
        format!("holds a run that is not finished; go on with it by `vdn train --resume {path}`")
    }

    /// The directory of a run that is not finished, locked, to go on with it.
    ///
    /// # Errors
    /// It holds no run, a finished one, or one of an older version; another process is writing to
    /// it.
    pub fn open_for_writing(path: &Path) -> Result<Self, TrainError> {
        let mut run = Self::open(path)?;
        run.expect_unfinished()?;
        run.files = Some(RunFiles::open(path)?);
        // The process that held the lock until now may have finished the run.
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

    /// The files to write to, where the directory is open for writing.
    #[must_use]
    pub fn files(&self) -> Option<&RunFiles> {
        self.files.as_ref()
    }

    /// Checks that the files are those of one moment of one run, by its manifest.
    ///
    /// # Errors
    /// A file is missing, or not of the epoch that the manifest names; there is no manifest,
    /// because the run was interrupted before its first checkpoint, or written by an older version;
    /// there are no weights yet.
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

    /// The directory of an earlier run.
    ///
    /// # Errors
    /// It holds no configuration.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let run = Self { path: path.to_owned(), created: None, files: None };
        if !run.file("config.toml").is_file() {
            return Err(TrainError::format(path, "is not a run directory (it has no config.toml)"));
        }
        Ok(run)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
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
        let checkpoint = std::fs::read_dir(self.file("checkpoints")).is_ok_and(|entries| {
            entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("step-"))
        });
        if checkpoint || self.weights(false).exists() {
            return;
        }
        let names = [
            "config.toml",
            "scaler.json",
            "history.csv",
            "control.safetensors",
            "control.csv",
            "units.npy",
            "units.csv",
            MANIFEST_FILE,
            LOCK_FILE,
        ];
        for folder in ["checkpoints", "twin"] {
            let _ = std::fs::remove_dir_all(self.file(folder));
        }
        // The directory was empty. What cannot be removed stays: the error that led here is the one to report.
        for name in names {
            let _ = std::fs::remove_file(self.file(name));
        }
        for layer in 1..=MAX_DEPTH {
            let _ = std::fs::remove_file(layer_file(&self.units(false), layer, MAX_DEPTH));
        }
        let Some(created) = &self.created else { return };
        for directory in self.path.ancestors().take_while(|p| p.starts_with(created)) {
            let _ = std::fs::remove_dir(directory);
        }
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, config: &RunConfig) -> Result<(), TrainError> {
        write_atomically(&self.file("config.toml"), config.to_toml()?.as_bytes())
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
        let path = self.file(name);
        let mut text =
            serde_json::to_string_pretty(value).map_err(|e| TrainError::format(&path, e))?;
        text.push('\n');
        write_atomically(&path, text.as_bytes())
    }

    pub(super) fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V, TrainError> {
        let path = self.file(name);
        let text = read_bounded(&path, MOST_JSON_BYTES)?;
        serde_json::from_slice(&text).map_err(|e| TrainError::format(&path, e))
    }
}

/// Refuses a directory that holds more than what a run leaves that was killed while it wrote its
/// first file: a lock, and that file under a temporary name.
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
