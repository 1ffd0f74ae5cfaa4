//! Small configurations, their trainings, and their error messages.

use vdn_forecast::config::RunConfig;
use vdn_forecast::data::Dataset;
use vdn_forecast::forecaster::Forecaster;
use vdn_forecast::run::RunDirectory;
use vdn_model::core::Parameters;
use vdn_train::evaluate::Evaluator;
use vdn_train::run::RunFiles;
use vdn_train::run::store::{DiskFiles, Manifest};
use vdn_train::train::{ByOutcomes, Trained, Trainer};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// A resolved configuration, from the settings that the tests of a file share and the settings of
/// one test.
pub(crate) fn config(small: &str, text: &str) -> Result<RunConfig, Failure> {
    let config = RunConfig::from_toml(&format!("{small}{text}"))?;
    config.validate()?;
    // A written configuration reads back as the same.
    assert_eq!(RunConfig::from_toml(&config.to_toml()?)?, config, "{text}");
    Ok(config)
}

/// Returns the error of such a configuration, when it is read or checked.
pub(crate) fn refusal(small: &str, text: &str) -> String {
    match RunConfig::from_toml(&format!("{small}{text}")) {
        Ok(config) => config.validate().expect_err(text).to_string(),
        Err(error) => error.to_string(),
    }
}

/// A forecaster on its data, with the averages of its run.
pub(crate) type Scores<'a> = Evaluator<'a, f32, Forecaster, Dataset>;

/// A trained model, with what it was trained on.
pub(crate) struct Run {
    pub(crate) config: RunConfig,
    pub(crate) data: Dataset,
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    pub(crate) trained: Trained,
}

/// Updates the manifest of a finished run for the current content of a file.
pub(crate) fn restamp(run: &RunDirectory, name: &str) -> Result<(), Failure> {
    let mut manifest = Manifest::read(&DiskFiles, run.path())?;
    manifest.add_existing(&DiskFiles, run.path(), name)?;
    Ok(manifest.write(&DiskFiles, run.path())?)
}

impl Run {
    /// Returns the evaluator of the model, as in its run.
    pub(crate) fn scores(&self) -> Scores<'_> {
        let Self { config, data, model, parameters, .. } = self;
        Evaluator::new(model, parameters, data, config.train.noise())
            .averaging(config.train.averages())
    }
}

pub(crate) fn train(config: RunConfig, files: Option<RunFiles>) -> Result<Run, Failure> {
    let data = config.data.dataset(config.data.load_table()?)?;
    let forecaster = config.forecaster_for(&data)?;
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, config.train.seed)?;
    let trainer = Trainer { files, ..config.trainer() };
    let session = trainer.session(&model, &mut parameters, &data)?;
    let trained = session.with_task(ByOutcomes).run(|_| {})?;
    Ok(Run { config, data, model, parameters, trained })
}
