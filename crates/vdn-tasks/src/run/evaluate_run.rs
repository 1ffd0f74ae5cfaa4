//! Scoring of a stored run: on its test rows, or on the rows of another file.

use crate::config::TaskConfig;
use crate::data::Inputs;
use crate::data::notes::of_far_numbers;
use crate::data::{TaskEncoding, TaskRows, expect_all_counts};
use crate::network::Variant;
use crate::run::experiment::{ENCODING, Experiment, Stored};
use crate::run::report::TaskReport;
use crate::run::source::read_for;
use crate::run::train_run::expect_encoding;
use std::path::Path;
use vdn_model::diagnostics::{CollapseThresholds, HealthTrend};
use vdn_train::TrainError;
use vdn_train::run::{RunFolder, load_control};
use vdn_train::train::read_losses;
use vdn_train::units::UnitHistory;

/// The configuration and the encoding of a run with weights.
///
/// # Errors
/// Returns an error if the files do not belong to one moment of one run, or if the run covered all
/// splits and kept no weights.
pub(crate) fn stored_run(run: &RunFolder) -> Result<(TaskConfig, TaskEncoding), TrainError> {
    run.verify()?;
    let config = TaskConfig::load_stored(&run.file("config.toml"))?;
    config.validate()?;
    if !run.weights().exists() {
        let reason = "the run went through all splits and kept no weights; train one of them by \
                      --split K";
        return Err(TrainError::format(run.path(), reason));
    }
    Ok((config, run.read_json(ENCODING)?))
}

/// Scores the stored weights of a run on its test rows, or on the rows of `file`, which must have
/// the targets.
///
/// # Errors
/// Returns an error if the directory, its data or its weights cannot be read or do not match, or if
/// the file does not have the targets.
pub fn evaluate_task(run: &RunFolder, file: Option<&Path>) -> Result<TaskReport, TrainError> {
    let (config, encoding) = stored_run(run)?;
    let experiment = match file {
        Some(file) => on_file(&config, encoding, file)?,
        None => {
            let experiment = Experiment::load(&config)?;
            expect_encoding(run, &experiment)?;
            experiment
        }
    };
    experiment.memory(0, false)?;
    let mut report = experiment.report();
    for variant in [Variant::Variational, Variant::Twin] {
        let stored = Experiment::stored(&config, &experiment.encoding, run, variant)?;
        let Some(Stored { network, parameters }) = stored else { continue };
        report.rows.extend(experiment.score(&network, &parameters, None)?);
        if variant == Variant::Variational && file.is_none() {
            let control = run.file("control.safetensors");
            let control = control.exists().then(|| load_control(&control)).transpose()?;
            let seen = [stored_seen(run, config.model.units)?];
            let of = (control.as_ref(), &seen[..]);
            report.units = experiment.examine(&network, &parameters, of, None)?;
        }
    }
    Ok(report)
}

/// The rows of another file, all of them for the test.
fn on_file(
    config: &TaskConfig,
    encoding: TaskEncoding,
    file: &Path,
) -> Result<Experiment, TrainError> {
    let table = read_for(&encoding, config, file)?;
    if table.targets().is_empty() {
        let reason = "the file has no column of the targets: nothing to score; `vdn predict` needs \
                      none";
        return Err(TrainError::format(file, reason));
    }
    let crate::data::InputEncoding::Table(features) = &encoding.inputs else {
        return Err(TrainError::config("the run was trained on images"));
    };
    if config.model.likelihood.is_of_counts() {
        expect_all_counts(&table)?;
    }
    let varying = features.without_constant();
    let inputs = Inputs::Numbers(varying.encode(&table)?);
    let mut notes = table.notes().to_vec();
    notes.extend(of_far_numbers(&varying, &table, 0..table.rows()));
    let targets = encoding.targets.encode(&table)?;
    let all: Vec<usize> = (0..table.rows()).collect();
    let rows = TaskRows::new(features.width(), inputs, table.targets().len(), targets)?;
    let rows = rows.with_splits([all.clone(), Vec::new(), all])?;
    let mut config = config.clone();
    config.data.file = Some(file.to_owned());
    Ok(Experiment::of_rows(config, encoding, rows, notes))
}

/// The trends of the units over the epochs of training, up to the kept weights; empty if the run
/// does not have these files.
fn stored_seen(run: &RunFolder, units: usize) -> Result<HealthTrend, TrainError> {
    let (history, file) = (run.file("history.csv"), run.file("units.npy"));
    if !history.exists() || !file.exists() {
        return Ok(HealthTrend::default());
    }
    let Some((losses, best)) = read_losses(&history)? else { return Ok(HealthTrend::default()) };
    let thresholds = CollapseThresholds::default();
    let history = UnitHistory::read_of(&file, units, losses.len())?;
    Ok(history.seen(best, &losses, &thresholds))
}
