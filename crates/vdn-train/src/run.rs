//! The directory of a run: what was asked for, what happened, and the weights.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration; training it again gives the same files, bit for bit (settings of the model that were left out keep the defaults of this version) |
//! | `history.csv` | one line per epoch; no times in it, so that runs can be compared byte by byte |
//! | `units.npy` | every unit in every epoch: rate, KL, ..., and whether it lives; see [`UnitHistory`](crate::UnitHistory) |
//! | `units.csv` | every unit of the best weights, with what was measured on the probe set; see [`UnitReport`](crate::UnitReport) |
//! | `summary.json` | the test metrics of the model and the baselines, and how long it took |
//! | `weights.safetensors` | the best epoch's weights |
//! | `control.safetensors` | the controllers' state at the best epoch, if there are any |
//! | `report.html` | the page that `vdn report` writes |
//! | `scaler.json` | what the series were standardised with |
//!
//! A twin trained beside the model has `twin-history.csv` and `twin-weights.safetensors`.
//!
//! Every file is written under a temporary name, synced and renamed: it is whole or not there.

use crate::atomic_file::write_atomically;
use crate::config::RunConfig;
use crate::data::Scaler;
use crate::error::TrainError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// A run directory.
///
/// ```
/// use vdn_train::{RunConfig, RunDirectory};
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
}

/// The series' names with their means and standard deviations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredScaler {
    names: Vec<String>,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl RunDirectory {
    /// A new directory for a run, made if it is not there; it must be empty. Of several runs that ask for one directory
    /// at once, one gets it.
    ///
    /// # Errors
    /// It cannot be made or read, it already holds a run, or something else.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        let missing = path.ancestors().filter(|p| !p.as_os_str().is_empty() && !p.exists()).last();
        let created = missing.map(Path::to_owned);
        std::fs::create_dir_all(path).map_err(TrainError::io(path))?;
        let run = Self { path: path.to_owned(), created };
        let taken = "already holds a run; choose another directory";
        let config = run.file("config.toml");
        if config.exists() {
            return Err(TrainError::format(path, taken));
        }
        if std::fs::read_dir(path).map_err(TrainError::io(path))?.next().is_some() {
            return Err(TrainError::format(path, "is not empty; choose another directory"));
        }
        // Only one can make a new file.
        match std::fs::File::create_new(&config) {
            Ok(_) => Ok(run),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(TrainError::format(path, taken))
            }
            Err(error) => Err(TrainError::io(&config)(error)),
        }
    }

    /// The directory of an earlier run.
    ///
    /// # Errors
    /// It holds no configuration.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let run = Self { path: path.to_owned(), created: None };
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

    /// Takes back what a run wrote that failed before it had weights to keep; with weights everything stays.
    pub(crate) fn discard_without_weights(&self) {
        if self.weights(false).exists() {
            return;
        }
        let names = [
            "config.toml",
            "scaler.json",
            "history.csv",
            "control.safetensors",
            "units.npy",
            "units.csv",
        ];
        // The directory was empty. What cannot be removed stays: the error that led here is the one to report.
        for name in names {
            let _ = std::fs::remove_file(self.file(name));
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

    fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V, TrainError> {
        let path = self.file(name);
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        serde_json::from_str(&text).map_err(|e| TrainError::format(&path, e))
    }

    /// Writes what the series were standardised with.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_scaler(&self, names: &[String], scaler: &Scaler) -> Result<(), TrainError> {
        let stored = StoredScaler {
            names: names.to_vec(),
            mean: scaler.mean().to_vec(),
            std: scaler.std().to_vec(),
        };
        self.write_json("scaler.json", &stored)
    }

    /// Reads what the series were standardised with: their names and the scaler.
    ///
    /// # Errors
    /// The file cannot be read or is not what was written.
    pub fn read_scaler(&self) -> Result<(Vec<String>, Scaler), TrainError> {
        let stored: StoredScaler = self.read_json("scaler.json")?;
        Ok((stored.names, Scaler::from_parts(stored.mean, stored.std)?))
    }
}
