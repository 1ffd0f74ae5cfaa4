//! The options of the program, and their effect on a configuration.

use crate::shorthands::{GROUPS, Shorthands, TASKS};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{ForecastFormat, RunDirectory};
use vdn_tasks::config::TaskConfig;
use vdn_train::TrainError;
use vdn_train::config::{in_file, lay_over, load_table, set_text};

/// Variational distributional neurons: forecasts and predictions from units that are distributions.
#[derive(Debug, Parser)]
#[command(name = "vdn", version, about)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a forecaster and compare it with baselines. Without --data it uses the embedded demo
    /// series; with --task it trains a network for the rows of a table.
    Train(Box<TrainOptions>),
    /// Evaluate a run again on its test windows or rows.
    Evaluate {
        /// The run directory.
        run: PathBuf,
        /// For a task: evaluate on the rows of this table, which must have the targets.
        #[arg(long, conflicts_with = "moments")]
        data: Option<PathBuf>,
        /// Score normal forecasts with the model's mean and variance in closed form, without
        /// samples.
        #[arg(long)]
        moments: bool,
        /// The number of threads; 0: one per processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Write a self-contained HTML page about a run.
    Report {
        /// The run directory.
        run: PathBuf,
        /// The file to write; default: `report.html` in the run directory.
        #[arg(long)]
        out: Option<PathBuf>,
        /// The number of threads; 0: one per processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Predict rows with the run of a task. The result is CSV: mean and quantiles, or class and
    /// probabilities, of each row.
    Predict {
        /// The run directory.
        run: PathBuf,
        /// A delimited file with the features of the training data.
        #[arg(long, required_unless_present = "images", conflicts_with = "images")]
        data: Option<PathBuf>,
        /// Images in the IDX format, of the same size as in training.
        #[arg(long)]
        images: Option<PathBuf>,
        /// For classes: decide whether to answer or to abstain. Abstaining has this cost; a wrong
        /// answer costs 1.
        #[arg(long, value_name = "COST")]
        abstain: Option<f64>,
        /// Allow deferring to another model, at this cost and with this probability of a wrong
        /// answer.
        #[arg(long, value_name = "COST,RISK", value_delimiter = ',', requires = "abstain")]
        defer: Option<Vec<f64>>,
        /// The file to write; default: standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// The number of threads; 0: one per processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Forecast from several origins near the end of a run's series, with models that are trained
    /// only on earlier data.
    Backtest {
        /// The run directory, whose configuration is trained.
        run: PathBuf,
        /// The number of origins.
        #[arg(long, default_value_t = 10)]
        windows: usize,
        /// The number of rows between origins; default: the horizon.
        #[arg(long)]
        step: Option<usize>,
        /// The number of origins between trainings; 0: train once, before the first origin.
        #[arg(long, default_value_t = 0)]
        refit: usize,
        /// A JSON file for the scores, in addition to the printed table.
        #[arg(long)]
        out: Option<PathBuf>,
        /// The number of threads; 0: one per processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Forecast the steps after the last row of each series. The result is CSV: dates, mean and
    /// quantiles, sampled paths, or the distribution of a sum, mean or maximum.
    Forecast {
        /// The run directory.
        run: PathBuf,
        /// A delimited file with the series of the training data, at the same time step; default:
        /// the run's own data.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Missing values: error, forward, linear, zero; default: as in training.
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
        /// Write N sampled futures instead: series, path, step, date, value.
        #[arg(long, value_name = "N", conflicts_with_all = ["aggregate", "moments"])]
        paths: Option<usize>,
        /// Write the distribution of several steps together instead: mean, sum or max of all steps,
        /// or of the first steps as in sum:24.
        #[arg(long, value_name = "KIND[:STEPS]", conflicts_with = "moments")]
        aggregate: Option<String>,
        /// The file to write; default: standard output. The format is CSV, or Parquet or Arrow if
        /// the name ends in .parquet, .arrow or .feather and the program was built with the feature
        /// arrow.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Write normal forecasts with the model's mean and variance in closed form, without
        /// samples.
        #[arg(long)]
        moments: bool,
        /// The number of threads; 0: one per processor.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
}

/// The columns of forecasts.
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

/// The options of `vdn train`. Every setting has a key; common settings also have an option.
///
/// Later values override earlier ones: defaults, `--compatibility`, the file, options, `--set`.
#[derive(Debug, Args)]
pub(crate) struct TrainOptions {
    /// A configuration in TOML. The config.toml of a run directory repeats its run.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting by its key, as in model.units=64. May be repeated. A run's config.toml lists all
    /// keys.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The run directory to create; default: nothing is written.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) out: Option<PathBuf>,
    /// Resume the run in this directory, which was interrupted or killed. It uses the run's own
    /// configuration.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config"])]
    pub(crate) resume: Option<PathBuf>,
    /// Do not show a progress bar.
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
    /// Reads a table of either kind. The table of a task has a key `task`.
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

/// Whether the run in a directory is the run of a task.
///
/// # Errors
/// Returns an error if the directory holds no run or if its configuration cannot be read.
pub(crate) fn is_of_task(run: &std::path::Path) -> Result<bool, TrainError> {
    let run = RunDirectory::open(run)?;
    Ok(TaskConfig::is_of_task(&load_table(&run.file("config.toml"))?))
}

impl TrainOptions {
    /// The number of threads for resuming a run; 0: as many as the run had. All other settings come
    /// from the run's own configuration.
    ///
    /// # Errors
    /// Returns an error if another setting is given.
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

    /// The values of the configuration file, overridden by these options.
    ///
    /// # Errors
    /// Returns one line if the file cannot be read, a key is unknown, or a value has the wrong
    /// type.
    pub(crate) fn settings(&self) -> Result<Settings, TrainError> {
        let mut given = match &self.config {
            // The file is first read by itself, so that an error in it names the file.
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
