//! Runs over published splits. Each split is a run of its own; only its scores are kept.
//!
//! `splits.csv` has a line for each finished split, so an interrupted run resumes after the last of
//! them. Splits run side by side, in groups of one split per thread.

use crate::config::TaskName;
use crate::network::Variant;
use crate::run::experiment::Experiment;
use crate::run::fit::{Fit, Fitted, Stage};
use crate::run::report::{TaskReport, TaskRow};
use crate::run::splits_report::{SplitMean, SplitMeans, SplitScores};
use crate::run::spread::spread;
use crate::run::train_run::Job;
use std::fmt::Write;
use vdn_tensor::parallel;
use vdn_train::TrainError;
use vdn_train::data::{Cell, DelimitedFile, FileForm, Limits, NumberForm};
use vdn_train::run::RunFolder;
use vdn_train::train::Progress;

const FILE: &str = "splits.csv";

/// The columns of a network in `splits.csv`: the five scores of the task, and three more.
fn columns(task: TaskName) -> [&'static str; COLUMNS] {
    let [nll, error, score, first, second] = SplitMeans::names(task);
    [nll, error, score, first, second, "living", "epochs", "diverged"]
}

/// The number of columns of a network.
const COLUMNS: usize = 8;

/// The models of a split: their names in tables, and the prefixes of their columns.
const CONTESTANTS: [(&str, &str); 3] = [
    ("variational units", ""),
    ("deterministic twin", "twin_"),
    ("ensemble of twins", "ensemble_"),
];

/// The scores of one network on one split; NaN for scores that it does not have.
type Scores = [f64; COLUMNS];

/// Runs all splits.
pub(crate) fn all_splits(
    job: &Job<'_>,
    first: &Experiment,
    splits: &[Vec<usize>],
    run: Option<&RunFolder>,
    progress: &mut dyn FnMut(Stage, Progress<'_>),
) -> Result<TaskReport, TrainError> {
    let contestants = match (job.config.train.twin, job.config.ensemble) {
        (false, _) => 1,
        (true, 0) => 2,
        (true, _) => 3,
    };
    let task = job.config.task;
    let mut done = match run.filter(|run| job.resume && run.file(FILE).exists()) {
        Some(run) => read(run, task, contestants)?,
        None => Vec::new(),
    };
    let total = splits.len() as u64;
    while done.len() < splits.len() {
        progress(Stage::Model, Progress::Preparation { done: done.len() as u64, total });
        if job.interrupt.is_requested() {
            return Err(TrainError::Interrupted { step: 0 });
        }
        let from = done.len();
        let portion = parallel::threads().clamp(1, splits.len() - from);
        done.extend(spread(portion, |i| one_split(job, (from + i, &splits[from + i])))?);
        if let Some(run) = run {
            run.write_text(FILE, &written(&done, task, contestants))?;
        }
    }
    progress(Stage::Model, Progress::Preparation { done: total, total });
    let mut report = first.report();
    let of = |contestant: usize| -> SplitScores {
        let column =
            |k: usize| -> Vec<f64> { done.iter().map(|split| split[contestant][k]).collect() };
        let mean = |k: usize| SplitMean::of(&column(k));
        let living = column(5);
        SplitScores {
            count: done.len(),
            means: SplitMeans::of(task, std::array::from_fn(mean)),
            living: living.iter().all(|x| x.is_finite()).then(|| SplitMean::of(&living)),
            epochs: mean(6),
            twin: None,
            ensemble: None,
        }
    };
    let boxed = |contestant| (contestants > contestant).then(|| Box::new(of(contestant)));
    let (twin, ensemble) = (boxed(1), boxed(2));
    report.splits = Some(SplitScores { twin, ensemble, ..of(0) });
    for (contestant, (name, _)) in CONTESTANTS.iter().enumerate().take(contestants) {
        let diverged = done.iter().filter(|split| split[contestant][7] == 1.0).count();
        if diverged > 0 {
            report.notes.push(format!(
                "WARNING: {name}: training has diverged in {diverged} of {total} splits; a smaller \
                 train.learning_rate may help"
            ));
        }
    }
    if let Some((run, files)) = run.and_then(|run| Some((run, run.files()?))) {
        run.write_json("summary.json", &report)?;
        files.finish(&["config.toml", FILE, "summary.json"])?;
    }
    Ok(report)
}

/// Trains and scores the networks of one split.
fn one_split(job: &Job<'_>, (number, test): (usize, &[usize])) -> Result<Vec<Scores>, TrainError> {
    let own = Experiment::new(job.config, job.source, Some((number, test.to_vec())))?;
    let fit = Fit {
        config: job.config,
        rows: &own.rows,
        widths: own.encoding.widths(),
        outlier_share: own.encoding.outlier_share(),
        folder: None,
        interrupt: job.interrupt,
        resume: false,
    };
    let quiet = &mut |_: Stage, _: Progress<'_>| {};
    let of = |row: &TaskRow, living: f64, diverged: bool| {
        let [nll, error, score, first, second] = row.scores.of_split();
        let epochs = row.epochs.map_or(f64::NAN, |epochs| epochs as f64);
        [nll, error, score, first, second, living, epochs, f64::from(u8::from(diverged))]
    };
    let fitted = fit.run(Variant::Variational, quiet)?;
    let seen = (fitted.trained.control.as_ref(), &fitted.trained.seen[..]);
    let units = own.examine(&fitted.network, &fitted.parameters, seen, None)?;
    let living = units.as_ref().and_then(|units| units.first());
    let living = living.map_or(f64::NAN, |own| own.living as f64 / own.units as f64);
    let diverged = |fitted: &Fitted| fitted.trained.divergence().is_some();
    let mut all = vec![of(&own.score_fitted(&fitted)?[0], living, diverged(&fitted))];
    if job.config.train.twin {
        let twin = fit.run(Variant::Twin, quiet)?;
        all.push(of(&own.score_fitted(&twin)?[0], f64::NAN, diverged(&twin)));
        if job.config.ensemble > 0 {
            let others = fit.other_twins(&twin, quiet)?;
            let any = diverged(&twin) || others.iter().any(diverged);
            all.push(of(&own.score_ensemble(&twin, &others)?, f64::NAN, any));
        }
    }
    Ok(all)
}

/// Returns the names of the columns of all networks.
fn names(columns: &[&str], contestants: usize) -> Vec<String> {
    let of = |(_, prefix): &(&str, &str)| -> Vec<String> {
        columns.iter().map(|name| format!("{prefix}{name}")).collect()
    };
    CONTESTANTS[..contestants].iter().flat_map(of).collect()
}

/// Formats the lines of the finished splits.
fn written(done: &[Vec<Scores>], task: TaskName, contestants: usize) -> String {
    let mut text = "split".to_owned();
    for name in names(&columns(task), contestants) {
        let _ = write!(text, ",{name}");
    }
    text.push('\n');
    for (number, split) in done.iter().enumerate() {
        let _ = write!(text, "{number}");
        for value in split.iter().flatten() {
            match value.is_finite() {
                true => drop(write!(text, ",{value}")),
                false => text.push(','),
            }
        }
        text.push('\n');
    }
    text
}

/// Reads the lines of the finished splits.
fn read(
    run: &RunFolder,
    task: TaskName,
    contestants: usize,
) -> Result<Vec<Vec<Scores>>, TrainError> {
    let form = FileForm { delimiter: Some(b','), numbers: Some(NumberForm::DecimalPoint) };
    let mut file = DelimitedFile::open(run.file(FILE), form, Limits::default())?;
    let (found, all) = (&file.names()[1..], columns(task));
    // Runs of older versions do not have the last column.
    let own =
        [COLUMNS, COLUMNS - 1].into_iter().find(|&own| found == names(&all[..own], contestants));
    let Some(own) = own else {
        let reason = "has not the columns of this configuration";
        return Err(TrainError::format(&run.file(FILE), reason));
    };
    let mut done = Vec::new();
    while file.next_row()? {
        let mut split = vec![[f64::NAN; COLUMNS]; contestants];
        for (at, to) in split.iter_mut().flat_map(|split| &mut split[..own]).enumerate() {
            *to = match file.number(at + 1) {
                Cell::Number(x) => x,
                Cell::Missing => f64::NAN,
                Cell::Bad => return Err(file.bad_cell(at + 1).into()),
            };
        }
        done.push(split);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskName = TaskName::Regression;

    #[test]
    fn what_is_done_is_read_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("run")).unwrap();
        let scores = |x: f64| [x / 3.0, 1e-9 * x, x, f64::NAN, 0.1, 1.0, 17.0, 0.0];
        let done = vec![vec![scores(1.0), scores(2.0)], vec![scores(-7.0), scores(0.3)]];
        run.write_text(FILE, &written(&done, TASK, 2)).unwrap();
        let bits = |all: &[Vec<Scores>]| -> Vec<u64> {
            all.iter()
                .flatten()
                .flatten()
                .map(|x| if x.is_nan() { 1 } else { x.to_bits() })
                .collect()
        };
        assert_eq!(bits(&read(&run, TASK, 2).unwrap()), bits(&done));
        assert!(read(&run, TASK, 1).is_err(), "columns of another configuration");
        let classes = TaskName::Classification;
        assert!(read(&run, classes, 2).is_err(), "as many columns of another task");
    }
}
