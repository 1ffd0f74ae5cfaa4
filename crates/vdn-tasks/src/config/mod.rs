//! The configuration of a run of a task: one plain value, read from and written to TOML.
//!
//! The settings belong to the parts of a run; each is defined in the crate that uses it. The key
//! `task` at the top distinguishes the configuration of a task from the configuration of a
//! forecast.

mod data;

pub use data::TaskDataConfig;

use crate::network::{Likelihood, NetworkConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;
use vdn_model::objective::Objective;
use vdn_train::TrainError;
use vdn_train::config::{
    BudgetConfig, ControlConfig, ControlName, ControlledLayer, ControllerSet, DiagnosticsConfig,
    Selection, TrainConfig, at_key, in_file, layered, load_table, parse, read_at,
};
use vdn_train::memory::RunSettings;
use vdn_train::optim::{AdamWConfig, Decay, Schedule};
use vdn_train::train::{SelectionRule, Trainer};

/// The kind of task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskName {
    /// Regression: numbers.
    #[default]
    Regression,
    /// Classification: one of several classes.
    Classification,
}

impl TaskName {
    /// The name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Classification => "classification",
        }
    }
}

/// The number of training rows below which several parts of them choose the number of epochs.
const FEW_ROWS: usize = 2000;

/// The method by which the number of epochs is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChoiceConfig {
    /// The number of parts into which the training rows are divided, at most 20.
    ///
    /// Each part is predicted by a network that is trained on the others. The chosen number of
    /// epochs has the best mean score over all rows. With 1 there is a single part,
    /// `data.validation` of the rows. 0, the default, selects 5 parts for fewer than 2000 rows,
    /// otherwise 1.
    pub folds: usize,
    /// Whether the network is trained again on all training rows for the chosen number of epochs;
    /// default true. `false` requires a single part; the best weights of that training are then
    /// kept.
    pub refit: bool,
    /// The largest number of training steps of a network by which epochs are chosen; default 30000.
    /// It reduces the number of epochs below `train.epochs` for large tables, but not below 5. 0
    /// disables it.
    pub most_steps: usize,
}

impl Default for ChoiceConfig {
    fn default() -> Self {
        Self { folds: 0, refit: true, most_steps: 30_000 }
    }
}

impl ChoiceConfig {
    /// The number of parts into which this many training rows are divided.
    #[must_use]
    pub fn parts(&self, rows: usize) -> usize {
        match self.folds {
            0 if rows < FEW_ROWS && self.refit => 5,
            0 => 1,
            folds => folds,
        }
    }

    /// The largest number of epochs for this many training rows, if `epochs` are configured.
    ///
    /// ```
    /// use vdn_tasks::config::ChoiceConfig;
    /// let choice = ChoiceConfig::default();
    /// // 100 steps an epoch, and 10000.
    /// assert_eq!((choice.epochs(600, 3200, 32), choice.epochs(600, 320_000, 32)), (300, 5));
    /// ```
    #[must_use]
    pub fn epochs(&self, epochs: usize, rows: usize, batch: usize) -> usize {
        let steps = rows.div_ceil(batch.max(1)).max(1);
        match self.most_steps {
            0 => epochs,
            most => epochs.min((most / steps).max(5)),
        }
    }
}

/// All settings of a run of a task.
///
/// ```
/// use vdn_tasks::config::{TaskConfig, TaskName};
/// let text = "task = \"regression\"\n[data]\nfile = \"houses.csv\"\ntarget = [\"price\"]\n";
/// let config = TaskConfig::from_toml(text)?;
/// assert_eq!((config.task, config.data.target.len()), (TaskName::Regression, 1));
/// let error = TaskConfig::from_toml("task = \"regression\"\n[model]\nunit = 3\n").unwrap_err();
/// assert!(error.to_string().ends_with("model.unit: no such key; did you mean units?"));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskConfig {
    /// The kind of task.
    pub task: TaskName,
    /// The number of networks in an ensemble of twins, at most 20; default 0: no ensemble. The
    /// members are the twin and networks with other seeds, and their predictions are mixed. It
    /// requires `train.twin`.
    pub ensemble: usize,
    /// The rows and their division.
    pub data: TaskDataConfig,
    /// The network.
    pub model: NetworkConfig,
    /// The controllers that keep units inside their constraints.
    pub control: ControlConfig,
    /// The measures of units on a probe set.
    pub diagnostics: DiagnosticsConfig,
    /// Epochs, batches, seeds.
    pub train: TrainConfig,
    /// The choice of the number of epochs.
    pub choice: ChoiceConfig,
    /// The thresholds of the selection score for `train.selection = "score"`.
    pub selection: SelectionRule,
    /// The settings of AdamW.
    pub optimizer: AdamWConfig,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// Limits of the run as a whole.
    pub run: RunSettings,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self::base(TaskName::Regression)
    }
}

impl TaskConfig {
    /// The base values of a task's settings.
    #[must_use]
    pub fn base(task: TaskName) -> Self {
        let train = TrainConfig {
            epochs: 600,
            patience: 50,
            batch: 32,
            learning_rate: 1e-3,
            selection: match task {
                TaskName::Regression => Selection::Crps,
                TaskName::Classification => Selection::Nll,
            },
            // An epoch of a small table takes less time than a checkpoint.
            checkpoint_every_epochs: 0,
            checkpoint_every_minutes: 1.0,
            ..TrainConfig::default()
        };
        let likelihood = match task {
            TaskName::Regression => Likelihood::Gaussian,
            TaskName::Classification => Likelihood::Categorical,
        };
        // The loss is in nats per row, like a bound with the weight 1, and a small table has few
        // steps.
        let rate = BudgetConfig { relative: false, ..BudgetConfig::of_bound() };
        let control = ControlConfig { rate, ..ControlConfig::default() };
        Self {
            task,
            ensemble: 0,
            data: TaskDataConfig::default(),
            model: NetworkConfig { likelihood, ..NetworkConfig::default() },
            control,
            diagnostics: DiagnosticsConfig::default(),
            train,
            choice: ChoiceConfig::default(),
            selection: SelectionRule::default(),
            optimizer: AdamWConfig::default(),
            schedule: Schedule::default(),
            run: RunSettings::default(),
        }
    }

    /// The base values of settings for images: tens of thousands of rows with hundreds of inputs.
    /// Decision 27 describes the grid from which they were chosen.
    #[must_use]
    pub fn base_of_images() -> Self {
        let base = Self::base(TaskName::Classification);
        Self {
            data: TaskDataConfig { validation: 1.0 / 30.0, ..base.data },
            model: NetworkConfig {
                hidden: vec![1024, 1024],
                units: 128,
                head_hidden: 256,
                beside: false,
                skip: false,
                beta: 1e-3,
                dropout: 0.4,
                input_dropout: 0.2,
                layer_norm: true,
                ..base.model
            },
            train: TrainConfig {
                epochs: 24,
                patience: 0,
                batch: 128,
                selection: Selection::Last,
                ..base.train
            },
            choice: ChoiceConfig { refit: false, ..base.choice },
            schedule: Schedule { warmup_steps: 200, decay: Decay::Cosine, final_factor: 0.01 },
            ..base
        }
    }

    /// Whether a table is the configuration of a task.
    #[must_use]
    pub fn is_of_task(table: &Table) -> bool {
        table.contains_key("task")
    }

    /// Reads a table. Keys that are left out keep their defaults.
    ///
    /// # Errors
    /// Returns one line with the key as written if the key does not exist or its value has the
    /// wrong type.
    pub fn from_table(given: Table) -> Result<Self, TrainError> {
        let task = given.get("task").cloned();
        let task = task.map_or(Ok(TaskName::Regression), |value| read_at("task", value))?;
        let images = given.get("data").is_some_and(|data| data.get("images").is_some());
        let mut base = match task {
            TaskName::Classification if images => Self::base_of_images(),
            _ => Self::base(task),
        };
        let first: Self = layered("", &base, &given)?;
        if first.control.controllers != ControllerSet::default() {
            base.control.mode = ControlName::None;
        }
        let config: Self = layered("", &base, &given)?;
        config.control.check_layers(None)?;
        Ok(config)
    }

    /// Parses TOML. Keys that are left out keep their defaults.
    ///
    /// # Errors
    /// Returns an error if the text is not TOML, and the errors of [`TaskConfig::from_table`].
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_table(parse(text)?)
    }

    /// Reads a TOML file of at most 1 MiB.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, and the errors of [`TaskConfig::from_toml`].
    /// The error names the file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::from_table(load_table(path)?).map_err(|error| in_file(path, error))
    }

    /// Reads the `config.toml` of a run. Classification runs of older versions may have a
    /// likelihood of numbers, which they ignored; it is replaced by `categorical`.
    ///
    /// # Errors
    /// Returns the errors of [`TaskConfig::load`].
    pub fn load_stored(path: &Path) -> Result<Self, TrainError> {
        let mut config = Self::load(path)?;
        if config.task == TaskName::Classification {
            config.model.likelihood = Likelihood::Categorical;
        }
        Ok(config)
    }

    /// The configuration as TOML, all keys written out.
    ///
    /// # Errors
    /// Returns an error for a value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::config(error.to_string()))
    }

    /// The trainer that the configuration describes. It writes no files.
    #[must_use]
    pub fn trainer(&self) -> Trainer {
        let config = self.clone();
        Trainer {
            train: config.train,
            selection: config.selection,
            optimizer: config.optimizer,
            schedule: config.schedule,
            control: config.control,
            diagnostics: config.diagnostics,
            ..Trainer::default()
        }
    }

    /// Checks every value and every pair of values that can contradict each other.
    ///
    /// # Errors
    /// Returns an error that names the first wrong value.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.data.validate()?;
        self.train.validate()?;
        self.selection.validate()?;
        self.diagnostics.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.run.validate()?;
        let refuse = |reason: &str| Err(TrainError::config(reason));
        match (self.task, self.model.likelihood) {
            (TaskName::Regression, Likelihood::Categorical) => {
                return refuse("model.likelihood = \"categorical\": is that of classification");
            }
            (TaskName::Classification, other) if other != Likelihood::Categorical => {
                let name = other.name();
                let reason = format!(
                    "model.likelihood = {name:?}: is one of numbers; that of classes is \
                     \"categorical\", their default"
                );
                return Err(TrainError::config(reason));
            }
            _ => {}
        }
        if self.task == TaskName::Regression && self.data.images.is_some() {
            return refuse("data.images: labels are classes; use --task classification");
        }
        if self.choice.folds > 1 && !self.choice.refit {
            return refuse(
                "choice.refit = false: with several parts (choice.folds) no network was trained on \
                 all rows",
            );
        }
        if self.ensemble == 1 || self.ensemble > 20 {
            let reason = format!("ensemble = {}: has to be 0, or from 2 to 20", self.ensemble);
            return Err(TrainError::config(reason));
        }
        if self.ensemble > 0 && !self.train.twin {
            return refuse("ensemble: is one of twins; it needs train.twin = true");
        }
        if self.choice.folds > 20 {
            let folds = self.choice.folds;
            let reason = format!("choice.folds = {folds}: has to be at most 20");
            return Err(TrainError::config(reason));
        }
        if self.train.selection == Selection::Mse && self.task == TaskName::Classification {
            return refuse("train.selection = \"mse\": classes have no squared error");
        }
        let network = &self.model;
        network.validate().map_err(at_key("model", &[]))?;
        // The weight in a bound follows from the number of targets, on which no constraint depends.
        let weight = match network.objective {
            Objective::Vib => network.beta,
            Objective::Elbo | Objective::Iwae => 1.0,
        };
        let layer = ControlledLayer::new(&network.layer(), network.objective, weight);
        self.control.build(&[layer], false)?;
        Ok(())
    }
}
