//! The configuration of a run: one plain value, read from and written to TOML.
//!
//! [`RunConfig`] combines the settings of all parts of a run; each table is defined in the crate
//! that uses it. A file overrides the defaults. Every value is checked before anything is computed.
//! The configuration that is written into a run directory reproduces the run.

mod contradictions;
pub(crate) mod data;
mod data_names;
mod older;

pub use data::DataConfig;
pub use data_names::{FillPolicy, ProtocolName, ScalingRows};

use crate::data::Dataset;
use crate::forecaster::{Aggregation, Compatibility, Dependence, ForecasterConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;
use vdn_train::TrainError;
use vdn_train::config::{
    BudgetConfig, ControlConfig, ControlName, ControllerSet, DiagnosticsConfig, TrainConfig,
    at_key, in_file, layered, load_table, parse, read_at,
};
use vdn_train::memory::RunSettings;
use vdn_train::optim::{AdamWConfig, Schedule};
use vdn_train::train::{SelectionRule, Trainer};

/// The complete configuration of a run.
///
/// ```
/// use vdn_forecast::config::RunConfig;
/// let config = RunConfig::from_toml("[train]\nepochs = 3\n").unwrap();
/// assert_eq!(config.train.epochs, 3);
/// let error = RunConfig::from_toml("[train]\nepoch = 3\n").unwrap_err().to_string();
/// assert!(error.ends_with("train.epoch: no such key; did you mean epochs?"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The rows to read, and how to cut them into windows.
    pub data: DataConfig,
    /// The network. Its `input_len` and `horizon` come from `data`: see [`RunConfig::forecaster`].
    pub model: ForecasterConfig,
    /// The controllers that keep units inside their constraints. With a joint head, `rate.low`
    /// defaults to 0.1: a unit's rate is lower on later windows than in training, and this margin
    /// keeps it above 0.05 there (decision 17).
    pub control: ControlConfig,
    /// The measures of units on a probe set, and how often they are computed.
    pub diagnostics: DiagnosticsConfig,
    /// Epochs, batch size, seeds, and the selection of the best epoch.
    pub train: TrainConfig,
    /// The thresholds of the selection score. Used only with `train.selection = "score"`.
    pub selection: SelectionRule,
    /// The AdamW optimizer.
    pub optimizer: AdamWConfig,
    /// The learning rate schedule.
    pub schedule: Schedule,
    /// Limits of the run as a whole.
    pub run: RunSettings,
}

impl Default for RunConfig {
    fn default() -> Self {
        let mut control = ControlConfig::default();
        control.rate.low = 0.1;
        Self {
            data: DataConfig::default(),
            model: ForecasterConfig::default(),
            control,
            diagnostics: DiagnosticsConfig::default(),
            train: TrainConfig::default(),
            selection: SelectionRule::default(),
            optimizer: AdamWConfig::default(),
            schedule: Schedule::default(),
            run: RunSettings::default(),
        }
    }
}

impl RunConfig {
    /// Returns the base values that a configuration file overrides.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// use vdn_forecast::forecaster::Compatibility;
    /// let reference = RunConfig::base(Compatibility::Reference);
    /// assert_eq!((reference.train.batch, reference.model.initial_sigma), (256, 0.5));
    /// ```
    #[must_use]
    pub fn base(compatibility: Compatibility) -> Self {
        match compatibility {
            Compatibility::None => Self::default(),
            Compatibility::Reference => Self {
                data: DataConfig::reference(),
                model: ForecasterConfig::compatibility(),
                control: ControlConfig::reference(),
                train: TrainConfig::reference(),
                ..Self::default()
            },
        }
    }

    /// Returns this base with the defaults that depend on other settings in `given`.
    fn following(mut self, given: &Self) -> Self {
        if given.control.controllers != ControllerSet::default() {
            self.control.mode = ControlName::None;
        }
        self.data.extra_lag = given.control.wants_predecessors();
        self.data.scaling = match given.data.protocol {
            ProtocolName::Reference => ScalingRows::WithValidation,
            _ => ScalingRows::Training,
        };
        if let Some(layers) = given.model.widths.and_then(|widths| widths.layers()) {
            self.model.depth = layers;
        }
        if self.is_reference() {
            self.model.head_hidden =
                ForecasterConfig::reference_head(given.data.horizon, given.model.units);
        } else if given.model.resolved_dependence() == Dependence::Sampled {
            // The defaults of a gated head, whose units carry information rather than noise.
            (self.model.units, self.model.beta) = (1024, 1e-4);
            (self.train.batch, self.train.ema_decay) = (128, 0.0);
            self.control.rate = BudgetConfig::default();
        }
        self
    }

    /// Reads a table; omitted keys keep their defaults.
    ///
    /// # Errors
    /// Fails for an unknown key or a value of the wrong type. The message is one line and contains
    /// the key as written.
    pub fn from_table(mut given: Table) -> Result<Self, TrainError> {
        older::translate(&mut given)?;
        let compatibility = given.get("model").and_then(|model| model.get("compatibility"));
        let compatibility = compatibility
            .cloned()
            .map_or(Ok(Compatibility::None), |value| read_at("model.compatibility", value))?;
        let base = Self::base(compatibility);
        let first = layered("", &base, &given)?;
        let mut config: Self = layered("", &base.following(&first), &given)?;
        if config.is_reference() && config.model.aggregation == Aggregation::Median {
            // The reference's median is the lower one.
            config.model.aggregation = Aggregation::LowerMedian;
        }
        config.control.check_layers(None)?;
        Ok(config)
    }

    /// Parses TOML; omitted keys keep their defaults.
    ///
    /// # Errors
    /// Fails if the text is not TOML (one line with line and column), or as
    /// [`RunConfig::from_table`] does.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_table(parse(text)?)
    }

    /// Reads a TOML file of at most 1 MiB.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or as [`RunConfig::from_toml`] does. The error names the
    /// file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::from_table(load_table(path)?).map_err(|error| in_file(path, error))
    }

    /// Returns the configuration as TOML. It contains every key, so that it reproduces the run even
    /// if defaults change.
    ///
    /// # Errors
    /// Fails for a value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::config(error.to_string()))
    }

    /// Returns the configuration of the forecaster, with the input length and horizon of `data`.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// let config = RunConfig::from_toml("[model]\nunits = 64\n[data]\nhorizon = 12\n")?;
    /// let forecaster = config.forecaster()?;
    /// assert_eq!((forecaster.units, forecaster.horizon), (64, 12));
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Fails for a setting outside its domain, or for settings that contradict each other.
    pub fn forecaster(&self) -> Result<ForecasterConfig, TrainError> {
        let DataConfig { input_len, horizon, .. } = self.data;
        let config = ForecasterConfig { input_len, horizon, ..self.model };
        config.validate().map_err(at_key("model", &[]))?;
        Ok(config)
    }

    /// Returns [`RunConfig::forecaster`] with the number of covariates that the windows of `data`
    /// have.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// let config = RunConfig::from_toml("[data]\ncalendar = true\n")?;
    /// let data = config.data.dataset(config.data.load_table()?)?;
    /// // The demo has daily rows: sine and cosine of week and year.
    /// assert_eq!(config.forecaster_for(&data)?.covariates, 4);
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`RunConfig::forecaster`]; more covariates than a weight matrix can hold.
    pub fn forecaster_for(&self, data: &Dataset) -> Result<ForecasterConfig, TrainError> {
        let covariates = data.covariate_numbers();
        let categories = data.covariates().categories();
        let config = ForecasterConfig { covariates, categories, ..self.forecaster()? };
        config.validate().map_err(at_key("data", &[]))?;
        Ok(config)
    }

    /// Returns the trainer of this configuration. It writes no files.
    #[must_use]
    pub fn trainer(&self) -> Trainer {
        let config = self.clone();
        Trainer {
            reference: config.is_reference(),
            train: config.train,
            selection: config.selection,
            optimizer: config.optimizer,
            schedule: config.schedule,
            control: config.control,
            diagnostics: config.diagnostics,
            ..Trainer::default()
        }
    }

    /// Whether the configuration starts from the reference's values.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.model.compatibility == Compatibility::Reference
    }

    /// Checks every value, and every pair of values that can contradict each other.
    ///
    /// # Errors
    /// Fails on the first invalid value, and names its key.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.data.validate()?;
        self.train.validate()?;
        self.selection.validate()?;
        self.diagnostics.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.run.validate()?;
        let model = self.forecaster()?;
        self.check_memory(&model)?;
        self.control.build(&model.controlled_layers(), self.is_reference())?;
        self.check_contradictions()
    }
}
