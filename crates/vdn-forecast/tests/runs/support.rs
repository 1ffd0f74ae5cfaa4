//! Small configurations, what they train, and what they are refused with.

use std::path::Path;
use vdn_forecast::Forecaster;
use vdn_forecast::data::Dataset;
use vdn_forecast::{Files, RunConfig};
use vdn_model::Parameters;
use vdn_train::{Trained, Trainer};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// A resolved configuration, from the settings that the tests of a file share and those of one.
pub(crate) fn config(small: &str, text: &str) -> Result<RunConfig, Failure> {
    let config = RunConfig::from_toml(&format!("{small}{text}"))?;
    config.validate()?;
    // What is written reads back as the same.
    assert_eq!(RunConfig::from_toml(&config.to_toml()?)?, config, "{text}");
    Ok(config)
}

/// The error that such a configuration is refused with, read or checked.
pub(crate) fn refusal(small: &str, text: &str) -> String {
    match RunConfig::from_toml(&format!("{small}{text}")) {
        Ok(config) => config.validate().expect_err(text).to_string(),
        Err(error) => error.to_string(),
    }
}

/// Where a run writes, in this directory.
pub(crate) fn files(directory: &Path) -> Files {
    Files {
        history: directory.join("history.csv"),
        weights: directory.join("weights.safetensors"),
        control: directory.join("control.safetensors"),
        units: directory.join("units.npy"),
    }
}

/// A trained model, with what it was trained on.
pub(crate) struct Run {
    pub(crate) config: RunConfig,
    pub(crate) data: Dataset,
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    pub(crate) trained: Trained,
}

pub(crate) fn train(config: RunConfig, files: Option<Files>) -> Result<Run, Failure> {
    let data = config.data.dataset(config.data.load_table()?)?;
    let mut forecaster = config.forecaster()?;
    forecaster.emit_kl |= config.control.wants_rows();
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, config.train.seed)?;
    let trainer = Trainer { files, ..Trainer::new(&config) };
    let trained = trainer.train(&model, &mut parameters, &data, |_| {})?;
    Ok(Run { config, data, model, parameters, trained })
}
