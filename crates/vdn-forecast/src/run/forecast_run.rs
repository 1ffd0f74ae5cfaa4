//! Forecasts of a run's model beyond the end of the data, as CSV.

use crate::config::FillPolicy;
use crate::evaluate::inference::{Inference, forecast_by};
use crate::run::aggregate_of::AggregateOf;
use crate::run::directory::RunDirectory;
use crate::run::forecast_format::{ForecastFormat, ForecastLine, QUANTILES};
use crate::run::latest::Latest;
use crate::run::whole_forecast;
use std::path::Path;
use vdn_train::TrainError;

/// The content of a forecast file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastContent {
    /// The mean and quantiles of each step.
    Steps(ForecastFormat),
    /// This number of sampled futures of each series, 1 or more: `series, path, step, date, value`
    /// (without `date` if times are not known), with paths and steps counted from 1. Every path has
    /// its own sample of the units. A larger number begins with the same paths.
    Paths(usize),
    /// The distribution of several steps together: `series, aggregate, steps, mean` and quantiles.
    Aggregate(AggregateOf),
}

impl Default for ForecastContent {
    fn default() -> Self {
        Self::Steps(ForecastFormat::default())
    }
}

/// The input rows of a forecast, if they are not those of the run, and the content of its file.
///
/// ```
/// use vdn_forecast::run::{ForecastContent, ForecastOptions};
/// let week = ForecastContent::Aggregate("sum:7".parse()?);
/// let options = ForecastOptions { content: week, ..ForecastOptions::default() };
/// assert!(options.file.is_none());
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ForecastOptions<'a> {
    /// A file with the series of the run; `None`: the run's own file.
    pub file: Option<&'a Path>,
    /// The fill policy for missing values; `None`: the policy of the run's training.
    pub fill: Option<FillPolicy>,
    /// The content of the forecast file.
    pub content: ForecastContent,
}

/// Forecasts as text, with notes on their input rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecasts {
    /// The CSV, as described by [`ForecastContent`].
    pub csv: String,
    /// Whether times are known. If not, date columns (if any) contain steps.
    pub dated: bool,
    /// Notes on changes to the rows and on skipped series, one sentence each.
    pub notes: Vec<String>,
}

/// Forecasts the rows after the last one of each series, in the series' own units, as CSV:
/// `series, step, date, mean` (without `date` if times are not known), and the quantiles of the
/// predictive mixture.
///
/// `data` replaces the run's file; its series are found by name. If some series are too short, they
/// are skipped.
///
/// # Errors
/// Fails if the directory, the data or the weights cannot be read, if the rows do not have the
/// run's step, if a series of the run is missing, and if all series are too short.
pub fn forecast_run(run: &RunDirectory, data: Option<&Path>) -> Result<String, TrainError> {
    let options = ForecastOptions { file: data, ..ForecastOptions::default() };
    Ok(forecast_run_by(run, options, Inference::Samples)?.csv)
}

/// [`forecast_run`] with options, by samples or by moments. By moments, the quantiles are those of
/// normal distributions.
///
/// # Errors
/// - The errors of [`forecast_run`];
/// - a model without moments
///   ([`Forecaster::predict_moments`](crate::forecaster::Forecaster::predict_moments));
/// - paths or aggregates by moments, which contain no information about several steps together;
/// - zero paths, or more than a gigabyte of text;
/// - an aggregate of more steps than the model forecasts.
pub fn forecast_run_by(
    run: &RunDirectory,
    options: ForecastOptions<'_>,
    inference: Inference,
) -> Result<Forecasts, TrainError> {
    if inference == Inference::Moments && !matches!(options.content, ForecastContent::Steps(_)) {
        let reason = "paths and aggregates are drawn from samples of the units, not from moments";
        return Err(TrainError::config(reason.to_owned()));
    }
    let latest = Latest::load(run, options.file, options.fill, inference == Inference::Samples)?;
    let csv = match options.content {
        ForecastContent::Steps(format) => steps(&latest, format, inference)?,
        ForecastContent::Paths(paths) => whole_forecast::paths(&latest, paths)?,
        ForecastContent::Aggregate(of) => whole_forecast::aggregate(&latest, of)?,
    };
    let dated = latest.data.calendar().is_some();
    Ok(Forecasts { csv, dated, notes: latest.notes })
}

/// Returns the mean and quantiles of each step, as CSV.
fn steps(
    latest: &Latest,
    format: ForecastFormat,
    inference: Inference,
) -> Result<String, TrainError> {
    let data = &latest.data;
    let predictions = forecast_by(&latest.evaluator(), &latest.windows, inference)?;
    let mut csv = format.head(data.calendar().is_some());
    let mut remaining = latest.windows.iter();
    for prediction in &predictions {
        let [_, batch, horizon] = prediction.shape;
        let mean = prediction.mean();
        let quantiles = QUANTILES.map(|tau| prediction.quantile(tau));
        for (row, window) in remaining.by_ref().take(batch).enumerate() {
            let series = window.series as usize;
            let dates = latest.dates(*window);
            for step in 0..horizon {
                let own = |values: &Vec<f64>| latest.own(series, values[row * horizon + step], 1);
                let line = ForecastLine {
                    series: &data.names()[series],
                    step: step + 1,
                    date: dates.as_ref().map(|dates| dates[step].clone()),
                    mean: own(&mean),
                    quantiles: quantiles.iter().map(own).collect(),
                };
                format.write(&line, &mut csv);
            }
        }
    }
    Ok(csv)
}
