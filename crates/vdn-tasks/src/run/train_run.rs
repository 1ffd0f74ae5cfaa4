//! Training runs: from a configuration to a directory, and resuming.

use crate::config::TaskConfig;
use crate::network::Variant;
use crate::run::experiment::{ENCODING, Experiment};
use crate::run::fit::{Fit, Stage};
use crate::run::report::TaskReport;
use crate::run::source::Source;
use crate::run::splits_run::all_splits;
use std::path::Path;
use vdn_train::TrainError;
use vdn_train::memory::MemoryEstimate;
use vdn_train::run::RunFolder;
use vdn_train::run::store::Interrupt;
use vdn_train::train::Progress;

/// Trains a network (and its twin, if configured), scores it on the test rows, and writes the run
/// directory `out`, if one is given. If there are published splits and none of them is selected,
/// all splits are run, and no weights are kept.
///
/// To choose the number of threads, call this inside a [`Pool`](vdn_tensor::parallel::Pool). The
/// result does not depend on it.
///
/// ```
/// use vdn_tasks::config::TaskConfig;
/// use vdn_tasks::run::train_task;
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("line.csv");
/// let rows: String = (0..60).map(|i| format!("{i},{}\n", 2 * i + i % 3)).collect();
/// std::fs::write(&file, format!("x,y\n{rows}"))?;
/// let text = format!(
///     "task = \"regression\"\n[data]\nfile = {file:?}\ntarget = [\"y\"]\n[model]\nhidden = [8]\n\
///      units = 4\nhead_hidden = 8\n[train]\nepochs = 2\n[choice]\nfolds = 2\n"
/// );
/// let report = train_task(&TaskConfig::from_toml(&text)?, None, &Default::default(), |_, _| {})?;
/// // The network, and the same with latents from the prior.
/// assert_eq!(report.rows.len(), 2);
/// println!("{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the configuration is wrong, if data cannot be read, if a loss is not finite,
/// or if a file cannot be written, and [`TrainError::Interrupted`] if the run is interrupted. A run
/// that fails before it has weights removes its files.
pub fn train_task(
    config: &TaskConfig,
    out: Option<&Path>,
    interrupt: &Interrupt,
    mut progress: impl FnMut(Stage, Progress<'_>),
) -> Result<TaskReport, TrainError> {
    config.validate()?;
    let config = TaskConfig { data: config.data.clone().absolute()?, ..config.clone() };
    let source = Source::read(&config)?;
    let splits = source.splits(&config)?;
    let job = Job { config: &config, source: &source, splits, interrupt, resume: false };
    // Everything that can be wrong with the data is found before anything is written.
    let first = job.first()?;
    let memory = job.memory(&first)?;
    job.expect_other_splits()?;
    let run = out.map(RunFolder::create).transpose()?;
    if let Some(run) = &run {
        run.write_text("config.toml", &config.to_toml()?)?;
    }
    progress(Stage::Model, Progress::Memory(&memory));
    let result = job.run(&first, run.as_ref(), &mut progress);
    if let (Err(error), Some(run)) = (&result, &run)
        && !matches!(error, TrainError::Interrupted { .. })
        // Finished splits are kept, so that the run can be resumed.
        && !run.file("splits.csv").exists()
    {
        run.discard_without_weights(&[ENCODING, "choice.json", "twin-choice.json", "splits.csv"]);
    }
    result
}

/// Resumes a run that was interrupted or killed. It ends in the same bytes as a run that was never
/// interrupted, except for times, on any number of threads. Work without a checkpoint (a part of
/// the choice of epochs, or a single split) starts again.
///
/// # Errors
/// Returns an error if:
///
/// * the directory holds no run or a finished one
/// * another process is writing to it
/// * its files are damaged
/// * scales or categories of the data changed
///
/// Also returns the errors of [`train_task`].
pub fn resume_task(
    directory: &Path,
    interrupt: &Interrupt,
    mut progress: impl FnMut(Stage, Progress<'_>),
) -> Result<TaskReport, TrainError> {
    let run = RunFolder::open_for_writing(directory)?;
    let config = TaskConfig::load_stored(&run.file("config.toml"))?;
    config.validate()?;
    let source = Source::read(&config)?;
    let splits = source.splits(&config)?;
    let job = Job { config: &config, source: &source, splits, interrupt, resume: true };
    let first = job.first()?;
    progress(Stage::Model, Progress::Memory(&job.memory(&first)?));
    job.run(&first, Some(&run), &mut progress)
}

/// A run in progress.
pub(crate) struct Job<'a> {
    pub(crate) config: &'a TaskConfig,
    pub(crate) source: &'a Source,
    /// The test rows of the published splits.
    pub(crate) splits: Option<Vec<Vec<usize>>>,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) resume: bool,
}

impl Job<'_> {
    /// The rows of the selected split, or of the first one.
    fn first(&self) -> Result<Experiment, TrainError> {
        let split = self.config.data.split.unwrap_or(0);
        let published = self.splits.as_ref().map(|splits| (split, splits[split].clone()));
        Experiment::new(self.config, self.source, published)
    }

    /// The expected memory of the run.
    fn memory(&self, first: &Experiment) -> Result<MemoryEstimate, TrainError> {
        let all = self.splits.as_ref().filter(|_| self.config.data.split.is_none());
        first.memory(all.map_or(0, Vec::len), true)
    }

    /// Checks that the data are valid for every split of the run.
    fn expect_other_splits(&self) -> Result<(), TrainError> {
        let (Some(splits), None) = (&self.splits, self.config.data.split) else { return Ok(()) };
        for (number, test) in splits.iter().enumerate().skip(1) {
            Experiment::new(self.config, self.source, Some((number, test.clone())))?;
        }
        Ok(())
    }

    fn run(
        &self,
        first: &Experiment,
        run: Option<&RunFolder>,
        progress: &mut dyn FnMut(Stage, Progress<'_>),
    ) -> Result<TaskReport, TrainError> {
        if let (Some(splits), None) = (&self.splits, self.config.data.split) {
            return all_splits(self, first, splits, run, progress);
        }
        if let Some(run) = run {
            if run.file(ENCODING).exists() {
                expect_encoding(run, first)?;
            }
            run.write_json(ENCODING, &first.encoding)?;
        }
        let fit = Fit {
            config: self.config,
            rows: &first.rows,
            widths: first.encoding.widths(),
            outlier_share: first.encoding.outlier_share(),
            folder: run,
            interrupt: self.interrupt,
            resume: self.resume,
        };
        let mut report = first.report();
        let fitted = fit.run(Variant::Variational, progress)?;
        report.add(first.score_fitted(&fitted)?, fitted.trained.divergence());
        let file = run.map(|run| run.file("units.csv"));
        let seen = (fitted.trained.control.as_ref(), &fitted.trained.seen[..]);
        let (network, parameters) = (&fitted.network, &fitted.parameters);
        report.units = first.examine(network, parameters, seen, file.as_deref())?;
        if self.config.train.twin {
            let fitted = fit.run(Variant::Twin, progress)?;
            report.add(first.score_fitted(&fitted)?, fitted.trained.divergence());
            if self.config.ensemble > 0 {
                let others = fit.other_twins(&fitted, progress)?;
                let diverged = others.iter().find_map(|own| own.trained.divergence());
                report.add(vec![first.score_ensemble(&fitted, &others)?], diverged);
            }
        }
        if let Some((run, files)) = run.and_then(|run| Some((run, run.files()?))) {
            run.write_json("summary.json", &report)?;
            let names = [
                "config.toml",
                ENCODING,
                "choice.json",
                "twin-choice.json",
                "units.csv",
                "summary.json",
            ];
            let there = names.into_iter().filter(|name| run.file(name).exists());
            files.finish(&there.collect::<Vec<_>>())?;
        }
        Ok(report)
    }
}

/// Refuses data whose encoding differs from the encoding in the run's training.
pub(crate) fn expect_encoding(run: &RunFolder, now: &Experiment) -> Result<(), TrainError> {
    let stored: crate::data::TaskEncoding = run.read_json(ENCODING)?;
    // The file was written with all digits. Reading may round the last one.
    let text = |encoding| serde_json::to_value(encoding).map(|value| rounded(&value));
    let same = match (text(&stored), text(&now.encoding)) {
        (Ok(stored), Ok(now)) => stored == now,
        _ => false,
    };
    match same {
        true => Ok(()),
        false => {
            let reason = "these are not the scales or categories of the data: the data, or this \
                          file, changed since";
            Err(TrainError::format(&run.file(ENCODING), reason))
        }
    }
}

/// A copy of a value with numbers rounded to 12 digits.
fn rounded(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(x) => {
            Value::String(x.as_f64().map_or(String::new(), |x| format!("{x:.11e}")))
        }
        Value::Array(all) => Value::Array(all.iter().map(rounded).collect()),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(key, value)| (key.clone(), rounded(value))).collect())
        }
        other => other.clone(),
    }
}
