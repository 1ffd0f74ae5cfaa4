//! The options of the program, and how they change a configuration.

use clap::{Args, Parser, Subcommand};
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use std::path::PathBuf;
use vdn_forecast::{OneOrEach, RunConfig};

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
    /// Train a forecaster (on the embedded demo series, if no data are given) and compare it with baselines.
    Train(Box<TrainOptions>),
    /// Evaluate a run directory again on its test windows.
    Evaluate {
        /// The run directory.
        run: PathBuf,
        /// Score the normal forecasts that have the model's mean and variance in closed form, without samples.
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
    /// Forecast what comes after the last row of each series: CSV with mean and quantiles.
    Forecast {
        /// The run directory.
        run: PathBuf,
        /// A wide CSV file with the series that the run was trained on (the run's own data if left out).
        #[arg(long)]
        data: Option<PathBuf>,
        /// Where to write (standard output if left out).
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

/// Options of `vdn train`; each overrides the configuration file.
#[derive(Debug, Args)]
pub(crate) struct TrainOptions {
    /// Train on the embedded demo series: daily weather of Seattle (the default).
    #[arg(long, conflicts_with = "data")]
    demo: bool,
    /// A wide CSV file, plain or gzip: a date column, then one column per series.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A configuration in TOML.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The run directory to make; nothing is written if left out.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this directory, which was interrupted or killed; its own configuration holds.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config", "data", "demo"])]
    pub(crate) resume: Option<PathBuf>,
    /// Series to take, by name or #position, separated by commas.
    #[arg(long, value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// The date column, by name or #position.
    #[arg(long)]
    date: Option<String>,
    /// What becomes of missing values: error, forward, linear, zero.
    #[arg(long)]
    fill: Option<String>,
    /// A number that stands for a missing value; may be repeated.
    #[arg(long, allow_negative_numbers = true)]
    sentinel: Vec<f64>,
    /// Rows of an input window.
    #[arg(long)]
    input_len: Option<usize>,
    /// Rows to forecast.
    #[arg(long)]
    horizon: Option<usize>,
    /// How many rows earlier the second input window starts.
    #[arg(long)]
    stride: Option<usize>,
    /// How windows are divided: spec, spec_overlapping, reference, benchmark_ett_hour, benchmark_ett_minute,
    /// benchmark_ratio.
    #[arg(long)]
    protocol: Option<String>,
    /// At most so many training, validation and test windows of each series, as in 400,200,200.
    #[arg(long, value_delimiter = ',', num_args = 1)]
    max_windows: Option<Vec<usize>>,
    /// The period of the seasonal naive baseline in rows.
    #[arg(long)]
    season: Option<usize>,
    /// Units of the variational layer.
    #[arg(long)]
    units: Option<usize>,
    /// Layers of units.
    #[arg(long)]
    depth: Option<usize>,
    /// Units of each layer, from the first up, as in 512,256,128.
    #[arg(long, value_delimiter = ',', num_args = 1)]
    widths: Option<Vec<usize>>,
    /// The share of units that are distributions, in all layers.
    #[arg(long, allow_negative_numbers = true)]
    distributional_fraction: Option<f64>,
    /// Add the activities below a layer to its own, from the second layer up.
    #[arg(long)]
    residual: bool,
    /// Normalise the activities below a layer, from the second layer up.
    #[arg(long)]
    layer_norm: bool,
    /// Latent dimensions of each unit.
    #[arg(long)]
    latent_dims: Option<usize>,
    /// Samples of each posterior in training.
    #[arg(long)]
    samples: Option<usize>,
    /// Samples of each posterior in evaluation.
    #[arg(long)]
    evaluate_samples: Option<usize>,
    /// The weight of every unit's KL, against the score in nats per time step.
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Per-window normalisation: off, mean, last.
    #[arg(long)]
    normalization: Option<String>,
    /// Divide each window by its deviation, too.
    #[arg(long)]
    divide_by_deviation: bool,
    /// How units are kept inside their constraints: none, rate, homeo, proj_on or proj_off, and beside it any of ar, rate,
    /// kl, free_bits, annealing, capacity, geco, pi, thermostat, persistence, as in homeo,ar; settings are in the configuration file.
    #[arg(long, value_delimiter = ',', num_args = 1)]
    control: Option<Vec<String>>,
    /// Whose defaults to start from: none, reference.
    #[arg(long)]
    compatibility: Option<String>,
    /// Passes over the training windows, at most.
    #[arg(long)]
    epochs: Option<usize>,
    /// Epochs without improvement before training stops; 0: never.
    #[arg(long)]
    patience: Option<usize>,
    /// Windows per training step.
    #[arg(long)]
    batch: Option<usize>,
    /// The learning rate (3e-4 if left out).
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// The seed of everything random.
    #[arg(long)]
    seed: Option<u64>,
    /// The generator of all noise: philox4x32-10, ars-7.
    #[arg(long)]
    generator: Option<String>,
    /// Threads; 0: one for each processor. The results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Train the deterministic twin too, on the same windows.
    #[arg(long)]
    twin: bool,
    /// No progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Parses a name as the configuration would.
fn name<V: DeserializeOwned>(option: &str, text: &str) -> Result<V, String> {
    let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
    V::deserialize(deserializer).map_err(|error| format!("--{option} {text}: {error}"))
}

impl TrainOptions {
    /// The threads that were asked for.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// The configuration file's values, with these options over them.
    ///
    /// # Errors
    /// One line: the file cannot be read, or a name is unknown.
    pub(crate) fn config(&self) -> Result<RunConfig, String> {
        let mut config = match &self.config {
            Some(path) => RunConfig::load(path).map_err(|e| e.to_string())?,
            None => RunConfig::default(),
        };
        let data = &mut config.data;
        if self.demo {
            data.file = None;
        }
        set(&mut data.file, self.data.clone().map(Some));
        set(&mut data.columns, self.columns.clone().map(Some));
        set(&mut data.date, self.date.clone().map(Some));
        set(&mut data.fill, self.fill.as_deref().map(|text| name("fill", text)).transpose()?);
        if !self.sentinel.is_empty() {
            data.sentinels.clone_from(&self.sentinel);
        }
        set(&mut data.input_len, self.input_len);
        set(&mut data.horizon, self.horizon);
        set(&mut data.stride, self.stride);
        set(
            &mut data.protocol,
            self.protocol.as_deref().map(|text| name("protocol", text).map(Some)).transpose()?,
        );
        if let Some(counts) = &self.max_windows {
            let &[train, validation, test] = &counts[..] else {
                return Err("--max-windows: takes three counts, as in 400,200,200".into());
            };
            (data.max_train, data.max_validation, data.max_test) =
                (Some(train), Some(validation), Some(test));
        }
        set(&mut data.season, self.season.map(Some));
        let model = &mut config.model;
        set(&mut model.units, self.units.map(Some));
        set(&mut model.latent_dims, self.latent_dims.map(Some));
        set(&mut model.depth, self.depth.map(Some));
        set(&mut model.widths, self.widths.clone().map(Some));
        let fraction = self.distributional_fraction.map(OneOrEach::One);
        set(&mut model.distributional_fraction, fraction.map(Some));
        if self.residual {
            model.residual = Some(true);
        }
        if self.layer_norm {
            model.layer_norm = Some(true);
        }
        set(&mut model.samples, self.samples.map(Some));
        set(&mut model.evaluate_samples, self.evaluate_samples.map(Some));
        set(&mut model.beta, self.beta.map(Some));
        let normalization =
            self.normalization.as_deref().map(|text| name("normalization", text)).transpose()?;
        set(&mut model.normalization, normalization.map(Some));
        if self.divide_by_deviation {
            model.divide_by_deviation = Some(true);
        }
        let compatibility =
            self.compatibility.as_deref().map(|text| name("compatibility", text)).transpose()?;
        set(&mut model.compatibility, compatibility);
        if let Some(names) = &self.control {
            let names = names.iter().map(String::as_str);
            config.control.choose(names).map_err(|error| error.to_string())?;
        }
        let train = &mut config.train;
        set(&mut train.epochs, self.epochs);
        set(&mut train.patience, self.patience);
        set(&mut train.batch, self.batch.map(Some));
        set(&mut train.learning_rate, self.learning_rate.map(Some));
        set(&mut train.seed, self.seed);
        let generator =
            self.generator.as_deref().map(|text| name("generator", text)).transpose()?;
        set(&mut train.generator, generator);
        set(&mut train.threads, self.threads);
        train.twin |= self.twin;
        Ok(config)
    }
}

fn set<V>(to: &mut V, value: Option<V>) {
    if let Some(value) = value {
        *to = value;
    }
}
