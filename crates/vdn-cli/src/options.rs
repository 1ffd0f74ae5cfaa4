//! The options of the program, and how they change a configuration.

use crate::shorthands::{GROUPS, Shorthands, TASKS};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{ForecastFormat, RunDirectory};
use vdn_tasks::config::TaskConfig;
use vdn_train::TrainError;
use vdn_train::config::{in_file, lay_over, load_table, set_text};

/// Variational distributional neurons: forecasts from units that are distributions.
#[derive(Debug, Parser)]
#[command(name = "vdn", version, about)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a forecaster (on the embedded demo series, if no data are given) and compare it with
    /// baselines; or, with --task, a network for the rows of a table.
    Train(Box<TrainOptions>),
    /// Evaluate a run directory again on its test windows or rows.
    Evaluate {
        /// The run directory.
        run: PathBuf,
        /// Of a task: the rows of this table instead, which has to have the targets.
        #[arg(long, conflicts_with = "moments")]
        data: Option<PathBuf>,
        /// Score the normal forecasts that have the model's mean and variance in closed form,
        /// without samples.
        #[arg(long)]
        moments: bool,
        /// Threads; 0: one for each processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Write one self-contained HTML page about a run.
    Report {
        /// The run directory.
        run: PathBuf,
        /// Where to write (`report.html` in the run directory if left out).
        #[arg(long)]
        out: Option<PathBuf>,
        /// Threads; 0: one for each processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Predict rows by the run of a task: CSV with mean and quantiles, or with class and
    /// probabilities, of each row.
    Predict {
        /// The run directory.
        run: PathBuf,
        /// A delimited file with the features that the run was trained on.
        #[arg(long, required_unless_present = "images", conflicts_with = "images")]
        data: Option<PathBuf>,
        /// Images in the format IDX, of the size that the run was trained on.
        #[arg(long)]
        images: Option<PathBuf>,
        /// Of classes: decide to answer or to abstain, where no answer costs so much and a wrong
        /// one 1.
        #[arg(long, value_name = "COST")]
        abstain: Option<f64>,
        /// Or to ask another model, at this cost, whose answers are wrong with this probability.
        #[arg(long, value_name = "COST,RISK", value_delimiter = ',', requires = "abstain")]
        defer: Option<Vec<f64>>,
        /// Where to write (standard output if left out).
        #[arg(long)]
        out: Option<PathBuf>,
        /// Threads; 0: one for each processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Forecast from origins that roll through the end of a run's series, with models that saw
    /// nothing behind them.
    Backtest {
        /// The run directory, whose configuration is trained.
        run: PathBuf,
        /// Origins.
        #[arg(long, default_value_t = 10)]
        windows: usize,
        /// Rows from an origin to the next one (the horizon if left out).
        #[arg(long)]
        step: Option<usize>,
        /// Origins from one training to the next one; 0: trained before the first origin alone.
        #[arg(long, default_value_t = 0)]
        refit: usize,
        /// Where to write the scores as JSON, too.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Threads; 0: one for each processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Forecast what comes after the last row of each series: CSV with dates, mean and quantiles,
    /// sampled paths, or the distribution of a sum, mean or maximum.
    Forecast {
        /// The run directory.
        run: PathBuf,
        /// A delimited file with the series that the run was trained on, at the same step (the
        /// run's own data if left out).
        #[arg(long)]
        data: Option<PathBuf>,
        /// Missing values: error, forward, linear, zero (as the run was trained if left out).
        #[arg(long)]
        fill: Option<String>,
        /// The columns of the CSV.
        #[arg(
            long,
            value_enum,
            default_value = "quantiles",
            conflicts_with_all = ["paths", "aggregate"]
        )]
        format: Format,
        /// So many sampled futures instead: series, path, step, date, value.
        #[arg(long, value_name = "N", conflicts_with_all = ["aggregate", "moments"])]
        paths: Option<usize>,
        /// The distribution of several steps together instead: mean, sum or max of all steps, or
        /// of the first ones as in sum:24.
        #[arg(long, value_name = "KIND[:STEPS]", conflicts_with = "moments")]
        aggregate: Option<String>,
        /// Where to write (standard output if left out): CSV, or Parquet or Arrow where the name
        /// ends in .parquet, .arrow or .feather and the program was built with the feature arrow.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Normal forecasts with the model's mean and variance in closed form, without samples.
        #[arg(long)]
        moments: bool,
        /// Threads; 0: one for each processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
}

/// How forecasts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// series, step, date, mean and quantiles.
    Quantiles,
    /// unique_id, ds, vdn, vdn-lo-90, vdn-hi-90.
    Nixtla,
}

impl From<Format> for ForecastFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Quantiles => Self::Quantiles,
            Format::Nixtla => Self::Nixtla,
        }
    }
}

/// Options of `vdn train`. Every setting has a key; the common ones have an option of their own.
///
/// Later ones win: defaults, `--compatibility`, the file, options, `--set`.
#[derive(Debug, Args)]
pub(crate) struct TrainOptions {
    /// A configuration in TOML; that of a run directory repeats its run.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting by its key, as in model.units=64; may be repeated. A run's config.toml has all
    /// keys.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The run directory to make; nothing is written if left out.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this directory, which was interrupted or killed; its own configuration
    /// holds.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config"])]
    pub(crate) resume: Option<PathBuf>,
    /// No progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    shorthands: Shorthands,
}

/// The configuration of a run: of a forecast, or of a task.
#[derive(Debug)]
pub(crate) enum Settings {
    Forecast(Box<RunConfig>),
    Task(Box<TaskConfig>),
}

impl Settings {
    /// Reads a table of either kind: that of a task has a key `task`.
    fn from_table(table: toml::Table) -> Result<Self, TrainError> {
        if TaskConfig::is_of_task(&table) {
            return Ok(Self::Task(Box::new(TaskConfig::from_table(table)?)));
        }
        let of_task = GROUPS.iter().filter(|(heading, _)| *heading == TASKS);
        for (name, key, ..) in of_task.flat_map(|(_, shorthands)| *shorthands) {
            let (within, own) = key.split_once('.').unwrap_or(("", key));
            let given = table.get(within).and_then(|table| table.get(own));
            if given.is_some() {
                return Err(TrainError::Config(format!(
                    "{key}: is a setting of tasks; give --task regression beside --{name}"
                )));
            }
        }
        Ok(Self::Forecast(Box::new(RunConfig::from_table(table)?)))
    }

    fn threads(&self) -> usize {
        match self {
            Self::Forecast(config) => config.train.threads,
            Self::Task(config) => config.train.threads,
        }
    }
}

/// Whether the run in a directory is that of a task.
///
/// # Errors
/// The directory holds no run, or its configuration cannot be read.
pub(crate) fn is_of_task(run: &std::path::Path) -> Result<bool, TrainError> {
    let run = RunDirectory::open(run)?;
    Ok(TaskConfig::is_of_task(&load_table(&run.file("config.toml"))?))
}

impl TrainOptions {
    /// The threads that a run is resumed on; 0: as many as it had. Its own configuration holds for
    /// all else.
    ///
    /// # Errors
    /// Another setting is given.
    pub(crate) fn resume_threads(&self) -> Result<usize, TrainError> {
        let mut given = self.shorthands.table().clone();
        for setting in &self.set {
            set_text(&mut given, setting)?;
        }
        let threads = Settings::from_table(given.clone())?.threads();
        if let Some(toml::Value::Table(train)) = given.get_mut("train") {
            train.remove("threads");
        }
        given.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
        match given.keys().next() {
            None => Ok(threads),
            Some(key) => Err(TrainError::Config(format!(
                "--resume goes on with the configuration of the run; settings of [{key}] cannot \
                 be given, only --threads"
            ))),
        }
    }

    /// The configuration file's values, with these options over them.
    ///
    /// # Errors
    /// One line: the file cannot be read, a key is unknown, or a value is of another type.
    pub(crate) fn settings(&self) -> Result<Settings, TrainError> {
        let mut given = match &self.config {
            // Looked at by itself first, so that what is wrong in the file names the file.
            Some(path) => {
                let table = load_table(path)?;
                let own = match TaskConfig::is_of_task(&table) {
                    true => TaskConfig::from_table(table.clone()).map(drop),
                    false => RunConfig::from_table(table.clone()).map(drop),
                };
                own.map_err(|error| in_file(path, error))?;
                table
            }
            None => toml::Table::new(),
        };
        lay_over(&mut given, self.shorthands.table());
        for setting in &self.set {
            set_text(&mut given, setting)?;
        }
        Settings::from_table(given)
    }
}

#[cfg(test)]
mod tests;
