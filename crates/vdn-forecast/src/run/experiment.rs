//! The data, models and scores of a run, shared by training and evaluation.

use crate::config::RunConfig;
use crate::data::{BlockLength, Dataset, Support};
use crate::evaluate::evaluate::ForecastEvaluator;
use crate::evaluate::inference::Inference;
use crate::evaluate::probts::check_probts;
use crate::forecaster::{Dependence, Forecaster, ForecasterConfig, Variant};
use crate::run::directory::RunDirectory;
use crate::run::memory::{RunMemory, RunSizes};
use crate::run::report::Report;
use std::collections::HashSet;
use std::path::Path;
use vdn_autograd::Score;
use vdn_model::controllers::{ControlState, StackControl};
use vdn_model::core::Parameters;
use vdn_model::diagnostics::{CollapseThresholds, HealthTrend};
use vdn_model::objective::Objective;
use vdn_model::units::UnitStatistics;
use vdn_train::TrainError;
use vdn_train::evaluate::Evaluator;
use vdn_train::metrics::Summary;
use vdn_train::run::{load_control, load_weights};
use vdn_train::train::read_losses;
use vdn_train::units::{LayerReports, UnitHistory, examine, layer_file};

/// The configuration and data of a run.
pub(crate) struct Experiment {
    pub(crate) config: RunConfig,
    pub(crate) season: (usize, String),
    /// The blocks of steps whose sums are scored.
    pub(crate) blocks: Vec<BlockLength>,
    notes: Vec<String>,
    pub(crate) data: Dataset,
}

/// The stored model of a run, with its scores.
pub(crate) struct Evaluated {
    pub(crate) experiment: Experiment,
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    /// The scores of the model itself. `report` also has the scores of its twin and the baselines.
    pub(crate) summary: Summary,
    /// The statistics of its units on the test windows, layer by layer; empty for a deterministic
    /// model.
    pub(crate) units: Vec<UnitStatistics>,
    /// Its controllers, in their state at these weights.
    pub(crate) controllers: StackControl,
    /// Its deterministic twin, if the run has one.
    pub(crate) twin: Option<(Forecaster, Parameters<f32>)>,
    pub(crate) report: Report,
}

impl Experiment {
    /// Reads the data. Writes nothing.
    pub(crate) fn load(mut config: RunConfig) -> Result<Self, TrainError> {
        config.validate()?;
        if let Some(file) = &mut config.data.file {
            // An absolute path, so that the run finds its data from any working directory.
            *file = std::path::absolute(&*file).map_err(TrainError::io(file))?;
        }
        let table = config.data.load_table()?;
        let data = config.data.dataset(table)?;
        let season = config.data.season_of(&data);
        let blocks = config.data.blocks_of(&data);
        check_probts(&data)?;
        let notes = data.notes().iter().cloned().chain(config.data.protocol_note()).collect();
        // Forecasts of new data find their series by name.
        let mut seen = HashSet::with_capacity(data.names().len());
        for (i, name) in data.names().iter().enumerate() {
            let reason = match name {
                _ if name.is_empty() => format!("series {} has no name", i + 1),
                _ if !seen.insert(name) => format!("two series are named {name}"),
                _ => continue,
            };
            return Err(TrainError::config(format!("{reason}: rename the column")));
        }
        Ok(Self { config, season, blocks, notes, data })
    }

    /// Returns the expected memory of a run on these data.
    ///
    /// # Errors
    /// Fails if it exceeds `run.memory`.
    pub(crate) fn memory(&self) -> Result<RunMemory, TrainError> {
        let memory = self.estimate()?;
        memory.check(self.config.run.limit())?;
        Ok(memory)
    }

    /// Fails if scoring a stored run would exceed the memory limit.
    fn check_scores(&self, inference: Inference) -> Result<(), TrainError> {
        let scores = self.estimate()?.of_scores(inference == Inference::Samples);
        scores.estimate().check_stored(self.config.run)
    }

    fn estimate(&self) -> Result<RunMemory, TrainError> {
        let (config, data) = (&self.config, &self.data);
        let (train, probe) = (&config.train, &config.diagnostics);
        let splits = data.splits();
        train.total_steps(splits.train.len())?;
        let sizes = RunSizes {
            rows: data.columns().iter().map(Vec::len).max().unwrap_or(0),
            series: data.columns().len(),
            windows: [splits.train.len(), splits.validation.len(), splits.test.len()],
            batch: train.batch,
            evaluation_batch: train.averages().batch,
            epochs: train.epochs,
            masked: data.has_missing(),
            limited: data.support() == Support::NonNegative,
            kl_rows: config.control.wants_rows(),
            averaged: train.ema_decay > 0.0,
            probe_windows: probe.windows,
            probe_samples: probe.samples,
            probed_in_training: probe.every > 0,
        };
        Ok(RunMemory::of(&self.forecaster_config(false)?, &sizes))
    }

    /// Returns the configuration of the model, or of its twin. For a network without posteriors,
    /// `elbo` and `iwae` reduce to the score, so a twin is always trained with `vib`.
    pub(crate) fn forecaster_config(&self, twin: bool) -> Result<ForecasterConfig, TrainError> {
        let config = self.config.forecaster_for(&self.data)?;
        if !twin {
            return Ok(config);
        }
        // The twin has the same head, for every objective of the model.
        let (variant, dependence) = match self.config.is_reference() {
            true => (Variant::ReferenceTwin, Dependence::Sampled),
            false => (Variant::Twin, config.resolved_dependence()),
        };
        Ok(ForecasterConfig { variant, dependence, objective: Objective::Vib, ..config })
    }

    /// Returns the evaluator of a model on the data, with the settings of the configuration.
    pub(crate) fn evaluator<'a>(
        &'a self,
        model: &'a Forecaster,
        parameters: &'a Parameters<f32>,
    ) -> ForecastEvaluator<'a, f32> {
        let train = &self.config.train;
        Evaluator::new(model, parameters, &self.data, train.noise()).averaging(train.averages())
    }

    /// Returns the controllers of the layers, with this state.
    pub(crate) fn controllers(
        &self,
        model: &Forecaster,
        state: Option<&ControlState>,
    ) -> Result<StackControl, TrainError> {
        let config = &self.config;
        let layers = model.config().controlled_layers();
        let mut controllers = config.control.build(&layers, config.is_reference())?;
        if let Some(state) = state {
            controllers.restore(state)?;
        }
        Ok(controllers)
    }

    /// Examines the units of trained weights; see [`examine`].
    pub(crate) fn examine(
        &self,
        model: &Forecaster,
        parameters: &Parameters<f32>,
        control: Option<&ControlState>,
        seen: &[HealthTrend],
        file: Option<&Path>,
    ) -> Result<Option<LayerReports>, TrainError> {
        let control = self.controllers(model, control)?;
        let evaluator = self.evaluator(model, parameters);
        examine(&evaluator, &self.config.diagnostics, &control, seen, file)
    }

    pub(crate) fn report(&self) -> Result<Report, TrainError> {
        let splits = self.data.splits();
        let model = self.forecaster_config(false)?;
        let beta = model.beta;
        let skipped =
            splits.skipped().map(|s| format!("{}: too short, left out", self.data.names()[s]));
        Ok(Report {
            data: self.config.data.name(),
            series: self.data.names().len(),
            input_len: model.input_len,
            horizon: model.horizon,
            covariates: self.data.covariates().to_string(),
            windows: [splits.train.len(), splits.validation.len(), splits.test.len()],
            season: self.season.clone(),
            beta: [beta, beta * model.horizon as f64],
            dependence: model.resolved_dependence(),
            ema_decay: self.config.train.ema_decay,
            score: format!("{:?}", model.score).to_lowercase(),
            units: None,
            notes: self.notes.iter().cloned().chain(skipped).collect(),
            rows: Vec::new(),
        })
    }
}

/// Loads the model of a run.
fn load_model(
    experiment: &Experiment,
    run: &RunDirectory,
    twin: bool,
) -> Result<(Forecaster, Parameters<f32>), TrainError> {
    let (model, mut parameters) = Forecaster::new::<f32>(experiment.forecaster_config(twin)?, 0)?;
    load_weights(&mut parameters, &run.weights(twin))?;
    Ok((model, parameters))
}

/// Scores the stored weights of a run on its test windows, together with the baselines.
///
/// # Errors
/// Fails if the directory, its data or its weights cannot be read or do not fit each other.
pub fn evaluate_run(run: &RunDirectory) -> Result<Report, TrainError> {
    Ok(evaluate_stored(run)?.report)
}

/// [`evaluate_run`] by samples or by moments.
///
/// By moments no sample is drawn. The table then has no scores with swapped latents and no
/// information about units. NLL is the marginal score, whichever score the model is trained with.
///
/// # Errors
/// The errors of [`evaluate_run`]; a model without moments ([`Forecaster::predict_moments`]).
pub fn evaluate_run_by(run: &RunDirectory, inference: Inference) -> Result<Report, TrainError> {
    if inference == Inference::Samples {
        return evaluate_run(run);
    }
    let experiment = stored_experiment(run)?;
    experiment.check_scores(inference)?;
    let mut report = experiment.report()?;
    // The score of a normal distribution, whichever score the model is trained with.
    report.score = "marginal".to_owned();
    for twin in [false, true].into_iter().filter(|&twin| !twin || run.weights(true).exists()) {
        let (model, parameters) = load_model(&experiment, run, twin)?;
        report.rows.push(experiment.score_by_moments(&model, &parameters)?);
    }
    let notes = experiment.score_baselines(&mut report.rows, Score::Marginal, |_, _| {})?;
    report.notes.extend(notes);
    Ok(report)
}

/// Loads the experiment of a stored run, after verifying that its files belong together.
pub(crate) fn stored_experiment(run: &RunDirectory) -> Result<Experiment, TrainError> {
    run.verify()?;
    let mut experiment = Experiment::load(run.read_config()?)?;
    expect_scaler(run, &mut experiment)?;
    Ok(experiment)
}

/// Rejects data whose scales differ from those of the run's training. Runs of earlier versions also
/// listed the categories of series without training windows; in this case the data take over the
/// categories of the run.
pub(crate) fn expect_scaler(
    run: &RunDirectory,
    experiment: &mut Experiment,
) -> Result<(), TrainError> {
    run.expect_step(experiment.data.calendar(), &experiment.config.data.name())?;
    let (names, scaler) = run.read_scaler()?;
    let (now_names, now) = (experiment.data.names(), experiment.data.scaler());
    // The file has all digits, but reading may round the last one.
    let near = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(b.abs()))
    };
    if names != now_names || !near(scaler.mean(), now.mean()) || !near(scaler.std(), now.std()) {
        let reason = "these are not the scales of the data: the data, or this file, changed since";
        return Err(TrainError::format(&run.file("scaler.json"), reason));
    }
    let covariates = run.read_covariates()?;
    experiment.data.take_categories(&covariates)?;
    if !covariates.agrees_with(experiment.data.covariates()) {
        let reason =
            "these are not the covariates of the data: the data, or this file, changed since";
        return Err(TrainError::format(&run.file("scaler.json"), reason));
    }
    Ok(())
}

/// [`evaluate_run`], with the objects it was computed from.
pub(crate) fn evaluate_stored(run: &RunDirectory) -> Result<Evaluated, TrainError> {
    let experiment = stored_experiment(run)?;
    experiment.check_scores(Inference::Samples)?;
    let mut report = experiment.report()?;
    let (model, parameters) = load_model(&experiment, run, false)?;
    let (summary, units) = experiment.score(&model, &parameters, None, &mut report.rows)?;
    let control = run.control(false);
    let control = control.exists().then(|| load_control(&control)).transpose()?;
    let seen = stored_seen(run, &model)?;
    report.units = experiment.examine(&model, &parameters, control.as_ref(), &seen, None)?;
    let controllers = experiment.controllers(&model, control.as_ref())?;
    let mut twin = None;
    if run.weights(true).exists() {
        let (network, weights) = twin.insert(load_model(&experiment, run, true)?);
        experiment.score(network, weights, None, &mut report.rows)?;
    }
    let notes = experiment.score_baselines(&mut report.rows, model.score(), |_, _| {})?;
    report.notes.extend(notes);
    Ok(Evaluated { experiment, model, parameters, summary, units, controllers, twin, report })
}

/// Returns the health of the units of each layer from epoch to epoch, up to the kept weights; empty
/// if the run has no such files.
fn stored_seen(run: &RunDirectory, model: &Forecaster) -> Result<Vec<HealthTrend>, TrainError> {
    let history = run.history(false);
    let losses = if history.exists() { read_losses(&history)? } else { None };
    let thresholds = CollapseThresholds::default();
    let of = |layer: usize| {
        let file = layer_file(&run.units(false), layer + 1, model.config().depth);
        let Some((losses, best)) = losses.as_ref().filter(|_| file.exists()) else {
            return Ok(HealthTrend::default());
        };
        let units = model.stack().layers()[layer].config().distributional();
        let history = UnitHistory::read_of(&file, units, losses.len())?;
        Ok(history.seen(*best, losses, &thresholds))
    };
    model.distributional_layers().into_iter().map(of).collect()
}
