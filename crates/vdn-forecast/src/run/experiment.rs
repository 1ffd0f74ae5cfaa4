//! A whole run, end to end: data, model, twin, baselines, report, files.

use crate::config::RunConfig;
use crate::data::Dataset;
use crate::evaluate::compare::{ridge, seasonal_naive};
use crate::evaluate::evaluate::evaluate;
use crate::evaluate::inference::{Inference, evaluate_moments};
use crate::forecaster::{Forecaster, ForecasterConfig, Intervention, Variant};
use crate::report::table::{Report, Row};
use crate::run::directory::RunDirectory;
use crate::run::examine::stored_seen;
use crate::train::trainer::{Files, Progress, Trained, Trainer};
use std::path::Path;
use vdn_autograd::Score;
use vdn_model::controllers::StackControl;
use vdn_model::{Parameters, UnitStatistics};
use vdn_train::TrainError;
use vdn_train::metrics::{PredictiveScore, Summary};
use vdn_train::{load_control, load_weights};

/// Which model of a run is being trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The model.
    Model,
    /// Its deterministic twin.
    Twin,
}

impl Stage {
    /// `model` or `twin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Twin => "twin",
        }
    }
}

/// What a run works on.
pub(crate) struct Experiment {
    pub(crate) config: RunConfig,
    season: (usize, String),
    notes: Vec<String>,
    pub(crate) data: Dataset,
}

/// A run's stored model, scored.
pub(crate) struct Evaluated {
    pub(crate) experiment: Experiment,
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    /// The model's own scores; those of its twin and the baselines are in `report`, too.
    pub(crate) summary: Summary,
    /// What its units carry on the test windows, layer by layer; `None` for a deterministic model.
    pub(crate) units: Option<UnitStatistics>,
    /// Its controllers, as they were with these weights.
    pub(crate) controllers: StackControl,
    pub(crate) report: Report,
}

impl Experiment {
    /// Reads the data; nothing is written.
    fn load(mut config: RunConfig) -> Result<Self, TrainError> {
        config.validate()?;
        if let Some(file) = &mut config.data.file {
            // The run finds its data from any working directory.
            *file = std::path::absolute(&*file).map_err(TrainError::io(file))?;
        }
        let table = config.data.load_table()?;
        let season = config.data.season_of(&table);
        let notes = table.report.to_string().lines().map(str::to_owned).collect();
        let data = config.data.dataset(table)?;
        // Forecasts of new data find their series by name.
        for (i, name) in data.names().iter().enumerate() {
            let reason = match name {
                _ if name.is_empty() => format!("series {} has no name", i + 1),
                _ if data.names()[..i].contains(name) => format!("two series are named {name}"),
                _ => continue,
            };
            return Err(TrainError::config(format!("{reason}: rename the column")));
        }
        Ok(Self { config, season, notes, data })
    }

    fn forecaster_config(&self, stage: Stage) -> Result<ForecasterConfig, TrainError> {
        let mut config = self.config.forecaster()?;
        config.emit_kl |= self.config.control.wants_rows();
        Ok(match stage {
            Stage::Model => config,
            Stage::Twin if self.config.is_reference() => {
                ForecasterConfig { variant: Variant::ReferenceTwin, ..config }
            }
            Stage::Twin => ForecasterConfig { variant: Variant::Twin, ..config },
        })
    }

    fn report(&self) -> Result<Report, TrainError> {
        let splits = self.data.splits();
        let model = self.forecaster_config(Stage::Model)?;
        let beta = model.beta;
        let skipped =
            splits.skipped().map(|s| format!("{}: too short, left out", self.data.names()[s]));
        Ok(Report {
            data: self.config.data.name(),
            series: self.data.names().len(),
            input_len: model.input_len,
            horizon: model.horizon,
            windows: [splits.train.len(), splits.validation.len(), splits.test.len()],
            season: self.season.clone(),
            beta: [beta, beta * model.horizon as f64],
            ema_decay: self.config.train.ema_decay,
            score: format!("{:?}", model.score).to_lowercase(),
            units: None,
            notes: self.notes.iter().cloned().chain(skipped).collect(),
            rows: Vec::new(),
        })
    }

    /// Scores a trained model on the test windows, and (with units) what permuting its latents costs.
    fn score(
        &self,
        stage: Stage,
        model: &Forecaster,
        parameters: &Parameters<f32>,
        trained: Option<&Trained>,
        rows: &mut Vec<Row>,
    ) -> Result<(Summary, Option<UnitStatistics>), TrainError> {
        let (noise, test) = (self.config.train.noise(), &self.data.splits().test);
        let averages = self.config.train.averages();
        let score = predictive_score(model.score());
        let (summary, units) =
            evaluate(model, parameters, &self.data, test, noise, Intervention::None, averages)?;
        let name = contestant(model.config().variant);
        let mut row = Row::new(name, &summary, score).with_units(units.as_ref());
        row.parameters = Some(model.used_parameters(parameters));
        if let Some(trained) = trained {
            row.epochs = Some(trained.history.len());
            row.best_epoch = Some(trained.best_epoch);
            row.seconds_per_epoch = Some(trained.seconds_per_epoch);
        }
        rows.push(row);
        if stage == Stage::Model && model.config().variant == Variant::Variational {
            let (swapped, _) = evaluate(
                model,
                parameters,
                &self.data,
                test,
                noise,
                Intervention::Permute,
                averages,
            )?;
            rows.push(Row::new("  the same, z swapped in the batch", &swapped, score));
        }
        Ok((summary, units))
    }

    /// Scores a stored model on the test windows by its moments.
    fn score_by_moments(
        &self,
        model: &Forecaster,
        parameters: &Parameters<f32>,
    ) -> Result<Row, TrainError> {
        let averages = self.config.train.averages();
        let test = &self.data.splits().test;
        let summary = evaluate_moments(model, parameters, &self.data, test, averages)?;
        let name = match model.config().variant {
            Variant::Variational => "variational units, by moments",
            other => contestant(other),
        };
        let mut row = Row::new(name, &summary, PredictiveScore::Marginal);
        row.parameters = Some(model.used_parameters(parameters));
        Ok(row)
    }

    fn score_baselines(
        &self,
        rows: &mut Vec<Row>,
        score: PredictiveScore,
    ) -> Result<(), TrainError> {
        let averages = self.config.train.averages();
        let (summary, penalty) = ridge(&self.data, averages)?;
        rows.push(Row::new(&format!("ridge, penalty {penalty:.3e}"), &summary, score));
        let summary = seasonal_naive(&self.data, self.season.0, averages)?;
        rows.push(Row::new(&format!("seasonal naive, {} steps", self.season.0), &summary, score));
        Ok(())
    }
}

/// The name of a model in the table.
fn contestant(variant: Variant) -> &'static str {
    match variant {
        Variant::Variational => "variational units",
        Variant::Twin => "deterministic twin",
        Variant::ReferenceTwin => "reference's twin",
        Variant::GatedTwin => "gated deterministic twin",
    }
}

pub(crate) fn predictive_score(score: Score) -> PredictiveScore {
    match score {
        Score::Tempered => PredictiveScore::Tempered,
        Score::Marginal => PredictiveScore::Marginal,
        Score::Joint => PredictiveScore::Joint,
    }
}

/// Trains a model (and its twin, if the configuration asks for it), scores it beside the baselines on the test windows,
/// and writes the run directory `out`, if one is given.
///
/// Run it inside a [`Pool`](vdn_tensor::parallel::Pool) to choose the threads; the result does not depend on them.
///
/// ```
/// use vdn_forecast::{RunConfig, train_run};
/// let text = "[data]\nmax_train = 32\nmax_validation = 16\nmax_test = 16\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n\
///     evaluate_samples = 4\n[train]\nepochs = 1\n";
/// let report = train_run(&RunConfig::from_toml(text)?, None, |_, _| {})?;
/// // The model, the model with its latents swapped between windows, and the two baselines.
/// assert_eq!(report.rows.len(), 4);
/// println!("{report}");
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// # Errors
/// A bad configuration, data that cannot be read or are too short, a loss that is not finite, a file that cannot be
/// written. Nothing is written before the data are read and checked and the baselines fitted; a run that fails before it
/// has weights to keep takes back what it wrote.
pub fn train_run(
    config: &RunConfig,
    out: Option<&Path>,
    progress: impl FnMut(Stage, Progress<'_>),
) -> Result<Report, TrainError> {
    let experiment = Experiment::load(config.clone())?;
    let mut baselines = Vec::new();
    let score = predictive_score(experiment.forecaster_config(Stage::Model)?.score);
    experiment.score_baselines(&mut baselines, score)?;
    let run = out.map(RunDirectory::create).transpose()?;
    let result = train_stages(&experiment, run.as_ref(), baselines, progress);
    if let (Err(_), Some(run)) = (&result, &run) {
        run.discard_without_weights();
    }
    result
}

/// The part of [`train_run`] that writes.
fn train_stages(
    experiment: &Experiment,
    run: Option<&RunDirectory>,
    baselines: Vec<Row>,
    mut progress: impl FnMut(Stage, Progress<'_>),
) -> Result<Report, TrainError> {
    let config = &experiment.config;
    if let Some(run) = run {
        run.write_config(config)?;
        run.write_scaler(experiment.data.names(), experiment.data.scaler())?;
    }
    let mut report = experiment.report()?;
    let mut stages = vec![Stage::Model];
    if config.train.twin {
        stages.push(Stage::Twin);
    }
    for stage in stages {
        let seed = config.train.seed;
        let (model, mut parameters) =
            Forecaster::new::<f32>(experiment.forecaster_config(stage)?, seed)?;
        let twin = stage == Stage::Twin;
        let files = run.map(|run| Files {
            history: run.history(twin),
            weights: run.weights(twin),
            control: run.control(twin),
            units: run.units(twin),
        });
        let trainer = Trainer { files, ..Trainer::new(config) };
        let trained = trainer
            .train(&model, &mut parameters, &experiment.data, |event| progress(stage, event))?;
        experiment.score(stage, &model, &parameters, Some(&trained), &mut report.rows)?;
        if !twin {
            report.units = {
                let file = run.map(|run| run.file("units.csv"));
                let control = trained.control.as_ref();
                experiment.examine(&model, &parameters, control, &trained.seen, file.as_deref())?
            };
        }
    }
    report.rows.extend(baselines);
    if let Some(run) = run {
        run.write_json("summary.json", &report)?;
    }
    Ok(report)
}

/// Loads the model of a run.
fn load_model(
    experiment: &Experiment,
    run: &RunDirectory,
    stage: Stage,
) -> Result<(Forecaster, Parameters<f32>), TrainError> {
    let (model, mut parameters) = Forecaster::new::<f32>(experiment.forecaster_config(stage)?, 0)?;
    load_weights(&mut parameters, &run.weights(stage == Stage::Twin))?;
    Ok((model, parameters))
}

/// Scores the stored weights of a run again on its test windows, beside the baselines.
///
/// # Errors
/// The directory, its data or its weights cannot be read or do not fit each other.
pub fn evaluate_run(run: &RunDirectory) -> Result<Report, TrainError> {
    Ok(evaluate_stored(run)?.report)
}

/// [`evaluate_run`], by samples or by moments. By moments no sample is drawn: the table has the model's scores alone, without
/// those of swapped latents, and nothing of its units; NLL is the marginal score, whichever the model is trained with.
///
/// # Errors
/// Those of [`evaluate_run`]; a model that has no moments ([`Forecaster::predict_moments`]).
pub fn evaluate_run_by(run: &RunDirectory, inference: Inference) -> Result<Report, TrainError> {
    if inference == Inference::Samples {
        return evaluate_run(run);
    }
    let experiment = stored_experiment(run)?;
    let mut report = experiment.report()?;
    // Of a normal distribution, whatever the model is trained with.
    report.score = "marginal".to_owned();
    let mut stages = vec![Stage::Model];
    if run.weights(true).exists() {
        stages.push(Stage::Twin);
    }
    for stage in stages {
        let (model, parameters) = load_model(&experiment, run, stage)?;
        report.rows.push(experiment.score_by_moments(&model, &parameters)?);
    }
    experiment.score_baselines(&mut report.rows, PredictiveScore::Marginal)?;
    Ok(report)
}

/// What a run was trained on.
fn stored_experiment(run: &RunDirectory) -> Result<Experiment, TrainError> {
    let experiment = Experiment::load(run.read_config()?)?;
    let (names, scaler) = run.read_scaler()?;
    let (now_names, now) = (experiment.data.names(), experiment.data.scaler());
    // The file was written with all digits; reading may round the last one.
    let near = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(b.abs()))
    };
    if names != now_names || !near(scaler.mean(), now.mean()) || !near(scaler.std(), now.std()) {
        let reason = "these are not the scales of the data: the data, or this file, changed since";
        return Err(TrainError::format(&run.file("scaler.json"), reason));
    }
    Ok(experiment)
}

/// [`evaluate_run`], with what it was computed from.
pub(crate) fn evaluate_stored(run: &RunDirectory) -> Result<Evaluated, TrainError> {
    let experiment = stored_experiment(run)?;
    let mut report = experiment.report()?;
    let (model, parameters) = load_model(&experiment, run, Stage::Model)?;
    let (summary, units) =
        experiment.score(Stage::Model, &model, &parameters, None, &mut report.rows)?;
    let control = run.control(false);
    let control = control.exists().then(|| load_control(&control)).transpose()?;
    let seen = stored_seen(run, &model)?;
    report.units = experiment.examine(&model, &parameters, control.as_ref(), &seen, None)?;
    let controllers = experiment.controllers(&model, control.as_ref())?;
    if run.weights(true).exists() {
        let (twin, twin_parameters) = load_model(&experiment, run, Stage::Twin)?;
        experiment.score(Stage::Twin, &twin, &twin_parameters, None, &mut report.rows)?;
    }
    experiment.score_baselines(&mut report.rows, predictive_score(model.score()))?;
    Ok(Evaluated { experiment, model, parameters, summary, units, controllers, report })
}
