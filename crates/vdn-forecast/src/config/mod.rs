//! The configuration of a run: one plain value, read from and written to TOML.
//!
//! Unknown keys are refused, every value is checked before anything is computed, and what is written into a run
//! directory repeats the run.

pub(crate) mod data;
pub(crate) mod model;
pub(crate) mod names;

pub use data::{DataConfig, FillPolicy, ProtocolName, ScalingRows};
pub use model::{Compatibility, ModelConfig};
pub use names::{
    ActivationName, AggregationName, CentreName, ClampName, FamilyName, ObjectiveName, OneOrEach,
    OutputNoiseName, PoolName, PriorName, ScoreName, SigmaName, VariantName,
};

use crate::forecaster::ForecasterConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vdn_model::EarlierWindow;
use vdn_train::config::{BATCH, REFERENCE_BATCH, REFERENCE_LEARNING_RATE};
use vdn_train::{
    AdamWConfig, Averaging, ControlConfig, ControlName, ControllerName, DiagnosticsConfig,
    EarlierName, Schedule, Selection, SelectionRule, TrainConfig, TrainError, Trainer,
};

/// Everything that a run depends on.
///
/// ```
/// use vdn_forecast::RunConfig;
/// let config = RunConfig::from_toml("[train]\nepochs = 3\n").unwrap();
/// assert_eq!(config.train.epochs, 3);
/// assert!(RunConfig::from_toml("[train]\nepoch = 3\n").unwrap_err().to_string().contains("epoch"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// What is read and how it is cut into windows.
    pub data: DataConfig,
    /// What is trained.
    pub model: ModelConfig,
    /// What keeps the units inside their constraints.
    pub control: ControlConfig,
    /// What is measured of the units on a probe set, and how often.
    pub diagnostics: DiagnosticsConfig,
    /// How long, in what portions, and by what the best epoch is chosen.
    pub train: TrainConfig,
    /// The thresholds of the score that the best epoch is chosen by where `train.selection = "score"`; else without effect.
    pub selection: SelectionRule,
    /// AdamW.
    pub optimizer: AdamWConfig,
    /// The learning rate over the run.
    pub schedule: Schedule,
}

impl RunConfig {
    /// Parses TOML; keys that are left out keep their defaults.
    ///
    /// # Errors
    /// The text is not TOML, or a key is unknown or of the wrong type: one line with line and column, or (of single layers'
    /// controllers) with the layer.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or_else(String::new, |span| {
                let before = &text[..span.start.min(text.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
                format!("line {line}, column {column}: ")
            });
            TrainError::config(format!("{at}{}", error.message().replace('\n', " ")))
        })?;
        config.control.check_layers(None)?;
        Ok(config)
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`RunConfig::from_toml`]; the error names the file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Self::from_toml(&text).map_err(|error| match error {
            TrainError::Config(reason) => TrainError::format(path, reason),
            other => other,
        })
    }

    /// The configuration as TOML, all keys written out.
    ///
    /// # Errors
    /// A value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::config(error.to_string()))
    }

    /// The configuration with every value filled in that was left out and that does not depend on the data's content: what
    /// a run directory keeps, so that it repeats the run whatever becomes of the defaults.
    ///
    /// Settings of the model that contradict each other stay as they are; [`RunConfig::validate`] refuses them.
    ///
    /// ```
    /// use vdn_forecast::RunConfig;
    /// let config = RunConfig::from_toml("[model]\ncompatibility = \"reference\"\n[train]\nepochs = 3\n")?;
    /// assert_eq!(config.resolved().train.windows_per_step(), 256);
    /// assert_eq!(config.resolved().model.initial_sigma, Some(0.5));
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    #[must_use]
    pub fn resolved(&self) -> Self {
        let reference = self.is_reference();
        let mut config = self.clone();
        let batch = if reference { REFERENCE_BATCH } else { BATCH };
        config.train.batch.get_or_insert(batch);
        if reference {
            config.train.learning_rate.get_or_insert(REFERENCE_LEARNING_RATE);
            config.train.selection.get_or_insert(Selection::Nll);
            config.control.mode.get_or_insert(ControlName::None);
        }
        config.control.mode = Some(config.control.chosen_mode());
        config.train.learning_rate = Some(config.train.base_learning_rate());
        config.train.selection = Some(config.train.chosen_by());
        let averaging = if reference { Averaging::Batches } else { Averaging::Windows };
        config.train.averaging.get_or_insert(averaging);
        config.control.ar.earlier.get_or_insert(match self.control.ar.earlier(reference) {
            EarlierWindow::Predecessor => EarlierName::Predecessor,
            EarlierWindow::Itself => EarlierName::Itself,
        });
        config.data.extra_lag.get_or_insert(config.control.wants_predecessors(reference));
        let protocol = if reference { ProtocolName::Reference } else { ProtocolName::Spec };
        let protocol = *config.data.protocol.get_or_insert(protocol);
        config.data.scaling.get_or_insert(match protocol {
            ProtocolName::Reference => ScalingRows::WithValidation,
            _ => ScalingRows::Training,
        });
        if reference && config.model.aggregation == Some(AggregationName::Median) {
            config.model.aggregation = Some(AggregationName::LowerMedian);
        }
        config.model = config.model.resolved(&config.data);
        // The layers of a stack may differ in their weights.
        let one = config.model.depth.is_none_or(|depth| depth == 1);
        if one && config.control.has(ControllerName::Geco) && config.control.geco.initial.is_none()
        {
            config.control.geco.initial = config.model.beta;
        }
        config
    }

    /// Refuses batches of latents that no memory holds: at most 2^31 numbers.
    fn validate_activations(&self, model: &ForecasterConfig) -> Result<(), TrainError> {
        let latents = model.units as u128 * model.latent_dims as u128;
        let passes = [
            ("samples", model.samples, "train.batch", self.train.windows_per_step()),
            ("evaluate_samples", model.evaluate_samples, "windows", self.train.averages().batch),
        ];
        for (setting, samples, of, batch) in passes {
            let numbers = latents.saturating_mul(samples as u128).saturating_mul(batch as u128);
            if numbers > 1 << 31 {
                return Err(TrainError::config(format!(
                    "model.{setting} = {samples}: with {latents} latent dimensions and {of} {batch} these are {numbers} numbers, at \
                     most 2^31 are supported"
                )));
            }
        }
        Ok(())
    }

    /// The trainer that the configuration describes, writing nothing.
    #[must_use]
    pub fn trainer(&self) -> Trainer {
        let config = self.resolved();
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
        let model = self.model.to_forecaster(&self.data)?;
        self.validate_activations(&model)?;
        self.control.build(&model.controlled_layers(), self.is_reference())?;
        for name in [ControllerName::Ar, ControllerName::Persistence] {
            if self.control.has_anywhere(name) {
                self.check_lag(name)?;
            }
        }
        if self.control.has_anywhere(ControllerName::Persistence)
            && self.train.windows_per_step() < 2
        {
            let reason =
                "train.batch = 1 and the persistence target: a correlation takes two windows";
            return Err(TrainError::config(reason));
        }
        Ok(())
    }

    /// Checks that windows reach as far back as a controller looks.
    fn check_lag(&self, name: ControllerName) -> Result<(), TrainError> {
        let title = name.title();
        if self.data.stride == 0 {
            let reason = format!("data.stride = 0 and {title}: a window would be its own past");
            return Err(TrainError::config(reason));
        }
        let wanted = self.control.wants_predecessors(self.is_reference());
        if wanted && self.data.extra_lag == Some(false) {
            let reason = format!(
                "data.extra_lag = false and {title}: it needs the predecessors of earlier windows"
            );
            return Err(TrainError::config(reason));
        }
        Ok(())
    }
}
