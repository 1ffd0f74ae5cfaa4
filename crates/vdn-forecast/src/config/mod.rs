//! The configuration of a run: one plain value, read from and written to TOML.
//!
//! A run's settings are those of its parts, each in the crate that knows it. [`RunConfig`] lays a
//! file over the defaults; every value is checked before anything is computed, and the
//! configuration that is written into a run directory repeats the run.

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

/// Everything that a run depends on.
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
    /// The rows that are read, and how they are cut into windows.
    pub data: DataConfig,
    /// The network. Its `input_len` and `horizon` are those of `data`: see
    /// [`RunConfig::forecaster`].
    pub model: ForecasterConfig,
    /// The controllers that keep units inside their constraints. Under a joint head `rate.low` is
    /// 0.1 where it is left out: a unit's rate falls from training to later windows, and so it
    /// stays above 0.05 there (decision 17).
    pub control: ControlConfig,
    /// The measures of units on a probe set, and how often they are taken.
    pub diagnostics: DiagnosticsConfig,
    /// Epochs, batches, seeds, and the choice of the best epoch.
    pub train: TrainConfig,
    /// The thresholds of the score that chooses the best epoch where `train.selection = "score"`;
    /// else without effect.
    pub selection: SelectionRule,
    /// AdamW.
    pub optimizer: AdamWConfig,
    /// The learning rate over the run.
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
    /// The values that settings start from.
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

    /// This base, with those values that follow from others of a configuration.
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
            // Those of a gated head, whose units carry information more than noise.
            (self.model.units, self.model.beta) = (1024, 1e-4);
            (self.train.batch, self.train.ema_decay) = (128, 0.0);
            self.control.rate = BudgetConfig::default();
        }
        self
    }

    /// Reads a table; keys that are left out keep their defaults.
    ///
    /// # Errors
    /// One line with the key as it is written: there is no such key, or its value is of another
    /// type.
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

    /// Parses TOML; keys that are left out keep their defaults.
    ///
    /// # Errors
    /// The text is not TOML (one line with line and column), or as [`RunConfig::from_table`].
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_table(parse(text)?)
    }

    /// Reads a TOML file of at most 1 MiB.
    ///
    /// # Errors
    /// The file cannot be read, or as [`RunConfig::from_toml`]; the error names the file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::from_table(load_table(path)?).map_err(|error| in_file(path, error))
    }

    /// The configuration as TOML, all keys written out, so that it repeats the run whatever becomes
    /// of the defaults.
    ///
    /// # Errors
    /// A value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::config(error.to_string()))
    }

    /// The configuration of the forecaster, for these data.
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
    /// A setting outside its domain, or two that contradict each other.
    pub fn forecaster(&self) -> Result<ForecasterConfig, TrainError> {
        let DataConfig { input_len, horizon, .. } = self.data;
        let config = ForecasterConfig { input_len, horizon, ..self.model };
        config.validate().map_err(at_key("model", &[]))?;
        Ok(config)
    }

    /// [`RunConfig::forecaster`] with as many covariates as windows of `data` have.
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
    /// As for [`RunConfig::forecaster`]; more covariates than a weight has room for.
    pub fn forecaster_for(&self, data: &Dataset) -> Result<ForecasterConfig, TrainError> {
        let covariates = data.covariate_numbers();
        let categories = data.covariates().categories();
        let config = ForecasterConfig { covariates, categories, ..self.forecaster()? };
        config.validate().map_err(at_key("data", &[]))?;
        Ok(config)
    }

    /// The trainer that the configuration describes, writing nothing.
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

    /// Checks every value and every pair of values that can contradict each other.
    ///
    /// # Errors
    /// The first that is wrong, named.
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
