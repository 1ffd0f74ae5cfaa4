//! Training runs: from a configuration to a directory, and resumption after an interruption.

use crate::config::RunConfig;
use crate::forecaster::Forecaster;
use crate::run::directory::RunDirectory;
use crate::run::divergence::warnings;
use crate::run::experiment::{Experiment, expect_scaler};
use crate::run::report::{Report, Row};
use std::path::Path;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Split};
use vdn_train::run::RunFiles;
use vdn_train::run::store::Interrupt;
use vdn_train::train::{ByOutcomes, Progress, Trained, Trainer};

/// The model of a run that is being trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The model.
    Model,
    /// Its deterministic twin.
    Twin,
}

impl Stage {
    /// Returns `model` or `twin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Twin => "twin",
        }
    }
}

/// Trains a model (and its twin, if configured), scores it together with the baselines on the test
/// windows, and writes the run directory `out`, if given.
///
/// Call it inside a [`Pool`](vdn_tensor::parallel::Pool) to set the number of threads. The result
/// does not depend on it.
///
/// ```
/// use vdn_forecast::config::RunConfig;
/// use vdn_forecast::run::train_run;
/// let text = "[data]\nmax_train = 32\nmax_validation = 16\nmax_test = 16\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n\
///     evaluate_samples = 4\n[train]\nepochs = 1\n";
/// let report = train_run(&RunConfig::from_toml(text)?, None, |_, _| {})?;
/// // The model, the model with its latents swapped between windows, and the two baselines, each
/// // by normal residuals and by residual paths.
/// assert_eq!(report.rows.len(), 6);
/// println!("{report}");
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// # Errors
/// Fails for an invalid configuration, for data that cannot be read or are too short, for a loss
/// that is not finite, and for a file that cannot be written.
///
/// Nothing is written before the data are read and checked. A run that fails before it has weights
/// to keep deletes what it wrote.
pub fn train_run(
    config: &RunConfig,
    out: Option<&Path>,
    progress: impl FnMut(Stage, Progress<'_>),
) -> Result<Report, TrainError> {
    interruptible_run(config, out, &Interrupt::new(), progress)
}

/// [`train_run`] with an interrupt. When interrupted, it finishes the current step and saves a
/// checkpoint, from which it can be resumed. After the last step, it stops before the scores that
/// come next.
///
/// # Errors
/// The errors of [`train_run`]; [`TrainError::Interrupted`].
pub fn interruptible_run(
    config: &RunConfig,
    out: Option<&Path>,
    interrupt: &Interrupt,
    mut progress: impl FnMut(Stage, Progress<'_>),
) -> Result<Report, TrainError> {
    let experiment = Experiment::load(config.clone())?;
    let memory = experiment.memory()?.estimate();
    // The directory comes first, so that a directory in use is rejected before anything is
    // computed.
    let run = out.map(RunDirectory::create).transpose()?;
    let mut whole = || {
        progress(Stage::Model, Progress::Memory(&memory));
        if let Some(run) = &run {
            run.write_config(&experiment.config)?;
            run.write_scaler(&experiment.data)?;
        }
        let baselines = baselines(&experiment, &mut progress)?;
        let files = run.as_ref().and_then(RunDirectory::files);
        let run = run.as_ref();
        let job = Job { experiment: &experiment, run, files, interrupt, resume: false };
        job.stages(baselines, &mut progress)
    };
    let result = whole();
    if let (Err(error), Some(run)) = (&result, &run)
        && !matches!(error, TrainError::Interrupted { .. })
    {
        run.discard_without_weights();
    }
    result
}

/// Resumes a run that was interrupted or killed, from its newest complete checkpoint. The results
/// equal those of an uninterrupted run in every byte except times, on any number of threads.
///
/// # Errors
/// Fails if the directory contains no run or a finished one, if another process is writing to it,
/// and if its files are damaged or the data changed; the errors of [`interruptible_run`].
pub fn resume_run(
    directory: &Path,
    interrupt: &Interrupt,
    mut progress: impl FnMut(Stage, Progress<'_>),
) -> Result<Report, TrainError> {
    let run = RunDirectory::open_for_writing(directory)?;
    let mut experiment = Experiment::load(run.read_config()?)?;
    match run.file("scaler.json").exists() {
        true => expect_scaler(&run, &mut experiment)?,
        false => run.write_scaler(&experiment.data)?,
    }
    progress(Stage::Model, Progress::Memory(&experiment.memory()?.estimate()));
    let baselines = baselines(&experiment, &mut progress)?;
    let files = run.files();
    let job = Job { experiment: &experiment, run: Some(&run), files, interrupt, resume: true };
    job.stages(baselines, progress)
}

/// The scores of the baselines, and notes on skipped ones.
type Baselines = (Vec<Row>, Vec<String>);

fn baselines(
    experiment: &Experiment,
    progress: &mut impl FnMut(Stage, Progress<'_>),
) -> Result<Baselines, TrainError> {
    let mut rows = Vec::new();
    let score = experiment.forecaster_config(false)?.score;
    let notes = experiment.score_baselines(&mut rows, score, |done, total| {
        let (done, total) = (done as u64, total as u64);
        progress(Stage::Model, Progress::Preparation { done, total });
    })?;
    Ok((rows, notes))
}

/// A run in progress.
struct Job<'a> {
    experiment: &'a Experiment,
    run: Option<&'a RunDirectory>,
    files: Option<&'a RunFiles>,
    interrupt: &'a Interrupt,
    resume: bool,
}

impl Job<'_> {
    fn stages(
        &self,
        (baselines, notes): Baselines,
        mut progress: impl FnMut(Stage, Progress<'_>),
    ) -> Result<Report, TrainError> {
        let (experiment, run) = (self.experiment, self.run);
        let config = &experiment.config;
        let mut report = experiment.report()?;
        report.notes.extend(notes);
        let mut found = Vec::new();
        let stages = [Stage::Model, Stage::Twin];
        for stage in stages.into_iter().filter(|&s| s == Stage::Model || config.train.twin) {
            let twin = stage == Stage::Twin;
            let (model, mut parameters) =
                Forecaster::new::<f32>(experiment.forecaster_config(twin)?, config.train.seed)?;
            let files = self.files.map(|files| match twin {
                true => files.prefixed("twin-"),
                false => files.clone(),
            });
            let trainer = Trainer { files, interrupt: self.interrupt.clone(), ..config.trainer() };
            let session = trainer.session(&model, &mut parameters, &experiment.data)?;
            let mut session = session.with_task(ByOutcomes);
            if self.resume {
                let skipped = session.resume()?;
                skipped.iter().for_each(|damage| progress(stage, Progress::Skipped(damage)));
            }
            let trained = session.run(|event| progress(stage, event))?;
            found.push(trained.divergence());
            self.expect_no_interrupt(&trained)?;
            experiment.score(&model, &parameters, Some(&trained), &mut report.rows)?;
            self.expect_no_interrupt(&trained)?;
            if !twin {
                let file = run.map(|run| run.file("units.csv"));
                let control = trained.control.as_ref();
                let seen = &trained.seen;
                report.units =
                    experiment.examine(&model, &parameters, control, seen, file.as_deref())?;
                self.expect_no_interrupt(&trained)?;
            }
        }
        report.notes.extend(warnings(&report.rows, &baselines, &found));
        report.rows.extend(baselines);
        if let (Some(run), Some(files)) = (run, self.files) {
            run.write_json("summary.json", &report)?;
            let names = ["config.toml", "scaler.json", "units.csv", "summary.json"];
            let there = names.into_iter().filter(|name| run.file(name).exists());
            files.finish(&there.collect::<Vec<_>>())?;
        }
        Ok(report)
    }

    /// Stops between the scores of a finished training. The scores can take longer than the time
    /// that a process has to end. The last checkpoint is saved, and a resumed run computes the
    /// scores again.
    fn expect_no_interrupt(&self, trained: &Trained) -> Result<(), TrainError> {
        if !self.interrupt.is_requested() {
            return Ok(());
        }
        let windows = Examples::<f32>::split(&self.experiment.data, Split::Train).len();
        let per_epoch = windows.div_ceil(self.experiment.config.train.batch);
        Err(TrainError::Interrupted { step: (per_epoch * trained.history.len()) as u64 })
    }
}
