//! The program `vdn`: trains, evaluates, forecasts and predicts with variational neurons. It has no
//! logic of its own: it reads options, calls `vdn-forecast` and `vdn-tasks`, and prints tables.
//! Every error is one line on standard error.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed: a number was not finite, or a file could not be written |
//! | 2 | bad input: options, configuration, data, or an unsuitable run directory |
//! | 75 | interrupted by SIGINT or SIGTERM; `vdn train --resume RUN` resumes the run |
#![forbid(unsafe_code)]

mod options;
mod progress;
mod shorthands;
mod signals;

use clap::Parser;
use clap::error::ErrorKind;
use options::{Command, Options, Settings, TrainOptions, is_of_task};
use progress::Bar;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use vdn_forecast::config::FillPolicy;
use vdn_forecast::evaluate::Inference;
use vdn_forecast::report::report_run;
use vdn_forecast::run::{
    BacktestOptions, ForecastContent, ForecastOptions, Forecasts, RunDirectory, Stage, backtest,
    evaluate_run_by, forecast_run_by, interruptible_run, resume_run,
};
use vdn_tasks::config::TaskConfig;
use vdn_tasks::evaluate::Costs;
use vdn_tasks::report::report_task;
use vdn_tasks::run::{
    PredictFrom, Stage as TaskStage, evaluate_task, predict_task, resume_task, train_task,
};
use vdn_tensor::parallel::Pool;
use vdn_train::config::MAX_THREADS;
use vdn_train::metrics::MetricError;
use vdn_train::run::RunFolder;
use vdn_train::run::store::{Interrupt, StoreError};
use vdn_train::train::Progress;
use vdn_train::{TrainError, message_line};

fn main() -> ExitCode {
    // This comes before anything is written, so that it holds for every command.
    if let Err(error) = signals::outlive_file_limit() {
        return fail(&error);
    }
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                return fail(
                    "a command is missing: train, evaluate, report, predict, backtest or forecast; see vdn --help",
                );
            }
            // The message and its details, without the usage text.
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
            let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
            return fail(words.join(" ").trim_start_matches("error: "));
        }
        // Help and version.
        Err(error) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Err(error) = vdn_tensor::simd::level() {
        return fail(&error.to_string());
    }
    match run(options.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            tell(&message);
            ExitCode::from(code)
        }
    }
}

fn fail(message: &str) -> ExitCode {
    tell(message);
    ExitCode::from(2)
}

/// Writes one line to standard error, whatever the message contains. If this fails, there is
/// nowhere to report it.
pub(crate) fn tell(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "vdn: {}", message_line(message));
}

/// An error message and its exit code.
struct Failure {
    message: String,
    code: u8,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, code: 2 }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let code = match error {
            TrainError::Interrupted { .. } => signals::INTERRUPTED,
            TrainError::NonFinite { .. }
            | TrainError::NonFiniteGradient { .. }
            | TrainError::GradientOverflow { .. }
            | TrainError::Metric(MetricError::Score { .. })
            | TrainError::Store(StoreError::Write { .. }) => 1,
            _ => 2,
        };
        Self { message: error.to_string(), code }
    }
}

/// Writes to standard output. A closed pipe is not an error.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure { message: format!("standard output: {error}"), code: 1 })
        }
        _ => Ok(()),
    }
}

/// Prints the location of a file or a run.
fn say_written(path: &Path) -> Result<(), Failure> {
    say(&message_line(&format!("written to {}", path.display())))
}

/// A pool of `threads` threads.
fn pool(threads: usize) -> Result<Pool, String> {
    if threads > MAX_THREADS {
        return Err(format!("--threads {threads}: has to be at most {MAX_THREADS}"));
    }
    Pool::new(threads).map_err(|e| e.to_string())
}

/// Closed-form moments if requested, otherwise samples.
fn inference(moments: bool) -> Inference {
    if moments { Inference::Moments } else { Inference::Samples }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Train(options) => train(&options)?,
        Command::Evaluate { run, data, moments: false, threads } if is_of_task(&run)? => {
            let run = RunFolder::open(&run)?;
            let pool = pool(threads)?;
            let report = pool.run(|| evaluate_task(&run, data.as_deref()))?;
            say(&report.to_string())?;
        }
        Command::Evaluate { run, data, moments, threads } => {
            if data.is_some() || is_of_task(&run)? {
                let reason = "--data evaluates the run of a task, --moments that of a forecast";
                return Err(reason.to_owned().into());
            }
            let run = RunDirectory::open(&run)?;
            let pool = pool(threads)?;
            let report = pool.run(|| evaluate_run_by(&run, inference(moments)))?;
            say(&report.to_string())?;
        }
        Command::Predict { run, data, images, abstain, defer, out, threads } => {
            if !is_of_task(&run)? {
                let reason = "the run is a forecast's: `vdn forecast` goes on with its series";
                return Err(TrainError::format(&run, reason).into());
            }
            let run = RunFolder::open(&run)?;
            let pool = pool(threads)?;
            let from = match (&data, &images) {
                (Some(data), _) => PredictFrom::Table(data),
                (None, Some(images)) => PredictFrom::Images(images),
                (None, None) => return Err("--data or --images is missing".to_owned().into()),
            };
            let pair = |given: Vec<f64>| {
                <[f64; 2]>::try_from(given).map_err(|given| {
                    let count = given.len();
                    format!("--defer takes a cost and a risk, 0.1,0.05, not {count} numbers")
                })
            };
            let defer = defer.map(pair).transpose()?;
            let costs = abstain.map(|abstain| Costs { abstain, defer });
            let predictions = pool.run(|| predict_task(&run, from, costs))?;
            predictions.notes.iter().for_each(|note| tell(&format!("note: {note}")));
            deliver(&predictions.csv, out.as_deref())?;
        }
        Command::Report { run, out, threads } => {
            let of_task = is_of_task(&run)?;
            let run = RunDirectory::open(&run)?;
            let pool = pool(threads)?;
            let page = pool.run(|| match of_task {
                true => report_task(&RunFolder::open(run.path())?),
                false => report_run(&run),
            })?;
            let path = out.unwrap_or_else(|| run.file("report.html"));
            vdn_train::run::write_atomically(&path, page.as_bytes())?;
            say_written(&path)?;
        }
        Command::Backtest { run, windows, step, refit, out, threads } => {
            expect_forecast(&run)?;
            let config = RunDirectory::open(&run)?.read_config()?;
            let options = BacktestOptions { windows, step, refit };
            let interrupt = signals::watch()?;
            let pool = pool(threads)?;
            let result = pool.run(|| {
                backtest(&config, options, &interrupt, |window| {
                    tell(&format!("training before origin {} of {windows}", window + 1));
                })
            })?;
            if let Some(path) = out {
                vdn_train::run::write_atomically(&path, result.to_json().as_bytes())?;
            }
            say(&result.to_string())?;
        }
        Command::Forecast { run, data, fill, format, paths, aggregate, out, moments, threads } => {
            out.as_deref().map_or(Ok(()), Forecasts::check_name)?;
            expect_forecast(&run)?;
            let run = RunDirectory::open(&run)?;
            let pool = pool(threads)?;
            let fill = fill.map(|name| FillPolicy::of_name(&name)).transpose()?;
            let content = match (paths, aggregate) {
                (Some(paths), _) => ForecastContent::Paths(paths),
                (None, Some(aggregate)) => ForecastContent::Aggregate(aggregate.parse()?),
                (None, None) => ForecastContent::Steps(format.into()),
            };
            let options = ForecastOptions { file: data.as_deref(), fill, content };
            let forecast = || forecast_run_by(&run, options, inference(moments));
            let forecasts: Forecasts = pool.run(forecast)?;
            forecasts.notes.iter().for_each(|note| tell(&format!("note: {note}")));
            match &out {
                Some(path) => {
                    forecasts.write(path)?;
                    say_written(path)?;
                }
                None => say(forecasts.csv.trim_end())?,
            }
        }
    }
    Ok(())
}

/// Refuses the run of a task.
fn expect_forecast(run: &Path) -> Result<(), TrainError> {
    match is_of_task(run)? {
        true => Err(TrainError::format(run, "is the run of a task; `vdn predict` predicts rows")),
        false => Ok(()),
    }
}

/// Writes a table to a file, or to standard output.
fn deliver(csv: &str, out: Option<&Path>) -> Result<(), Failure> {
    match out {
        Some(path) => {
            vdn_train::run::write_atomically(path, csv.as_bytes())?;
            say_written(path)?;
        }
        None => say(csv.trim_end())?,
    }
    Ok(())
}

fn train(options: &TrainOptions) -> Result<(), Failure> {
    let interrupt = signals::watch()?;
    let mut bar = Bar::new(options.quiet);
    let (directory, result) = match &options.resume {
        Some(run) => (Some(run), resume(options, run, &interrupt, &mut bar)?),
        None => {
            let (settings, out) = (options.settings()?, options.out.as_deref());
            let result = match settings {
                Settings::Forecast(config) => {
                    config.validate()?;
                    let pool = pool(config.train.threads)?;
                    let progress =
                        |stage: Stage, event: Progress<'_>| bar.update(stage.name(), event);
                    let run = || interruptible_run(&config, out, &interrupt, progress);
                    pool.run(run).map(|report| report.to_string())
                }
                Settings::Task(config) => {
                    config.validate()?;
                    let pool = pool(config.train.threads)?;
                    let progress =
                        |stage: TaskStage, event: Progress<'_>| bar.update(stage.name(), event);
                    let run = || train_task(&config, out, &interrupt, progress);
                    pool.run(run).map(|report| report.to_string())
                }
            };
            (options.out.as_ref(), result)
        }
    };
    bar.finish();
    let report = result.map_err(|error| match (&error, directory) {
        (TrainError::Interrupted { step }, Some(run)) => Failure {
            message: format!(
                "interrupted after step {step}; `vdn train --resume {}` goes on",
                run.display()
            ),
            code: signals::INTERRUPTED,
        },
        (TrainError::Interrupted { step }, None) => Failure {
            message: format!("interrupted after step {step}; nothing was written (no --out)"),
            code: signals::INTERRUPTED,
        },
        _ => error.into(),
    })?;
    say(&report)?;
    if let Some(cost) = bar.checkpoints() {
        say(&cost)?;
    }
    if let Some(out) = directory {
        say_written(out)?;
    }
    Ok(())
}

/// Resumes a run, and returns its final table.
fn resume(
    options: &TrainOptions,
    run: &Path,
    interrupt: &Interrupt,
    bar: &mut Bar,
) -> Result<Result<String, TrainError>, Failure> {
    let asked = options.resume_threads()?;
    if is_of_task(run)? {
        let stored = TaskConfig::load(&run.join("config.toml"))?.train.threads;
        let pool = pool(if asked == 0 { stored } else { asked })?;
        let progress = |stage: TaskStage, event: Progress<'_>| bar.update(stage.name(), event);
        return Ok(pool.run(|| resume_task(run, interrupt, progress)).map(|r| r.to_string()));
    }
    let stored = RunDirectory::open(run)?.read_config()?.train.threads;
    let pool = pool(if asked == 0 { stored } else { asked })?;
    let progress = |stage: Stage, event: Progress<'_>| bar.update(stage.name(), event);
    Ok(pool.run(|| resume_run(run, interrupt, progress)).map(|r| r.to_string()))
}
