//! Forecasts of a run's model beyond the end of the data, as CSV.

use crate::config::FillPolicy;
use crate::data::{Dataset, SeriesTable};
use crate::evaluate::inference::{Inference, forecast_by};
use crate::forecaster::Forecaster;
use crate::run::directory::RunDirectory;
use crate::run::forecast_format::{ForecastFormat, ForecastLine, QUANTILES};
use std::collections::HashMap;
use std::path::Path;
use vdn_train::load_weights;
use vdn_train::{Evaluator, TrainError};

/// The rows that a forecast starts from, where they are not those of the run, and how it is
/// written.
///
/// ```
/// use vdn_forecast::{FillPolicy, ForecastOptions};
/// let own = ForecastOptions { fill: Some(FillPolicy::Forward), ..ForecastOptions::default() };
/// assert!(own.file.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ForecastOptions<'a> {
    /// A file with the series of the run; `None`: the run's own.
    pub file: Option<&'a Path>,
    /// How missing values are filled; `None`: as the run was trained.
    pub fill: Option<FillPolicy>,
    /// How the forecasts are written.
    pub format: ForecastFormat,
}

/// Forecasts as text, and what is to be said of the rows that they start from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecasts {
    /// The CSV, as [`ForecastFormat`] describes it.
    pub csv: String,
    /// What was done to the rows, and which series are left out, one sentence each.
    pub notes: Vec<String>,
}

/// Forecasts what comes after the last row of each series, in the series' own units, as CSV:
/// `series, step, date, mean` (no `date` where times are not known), and the quantiles of the
/// predictive mixture. `data` replaces the run's file; its series are found by name. Of series of
/// several lengths those that are too short are left out.
///
/// # Errors
/// The directory, the data or the weights cannot be read; the rows are not at the run's step; a
/// series of the run is missing, or all are too short.
pub fn forecast_run(run: &RunDirectory, data: Option<&Path>) -> Result<String, TrainError> {
    let options = ForecastOptions { file: data, ..ForecastOptions::default() };
    Ok(forecast_run_by(run, options, Inference::Samples)?.csv)
}

/// [`forecast_run`], by samples or by moments: then the quantiles are those of normal
/// distributions.
///
/// # Errors
/// Those of [`forecast_run`]; a model that has no moments ([`Forecaster::predict_moments`]).
pub fn forecast_run_by(
    run: &RunDirectory,
    options: ForecastOptions<'_>,
    inference: Inference,
) -> Result<Forecasts, TrainError> {
    run.verify()?;
    let mut config = run.read_config()?;
    config.validate()?;
    let (names, scaler) = run.read_scaler()?;
    if let Some(fill) = options.fill {
        config.data.fill = fill;
    }
    if let Some(path) = options.file {
        config.data.file = Some(path.to_owned());
        config.data.columns = Some(names.clone());
    }
    let mut table = config.data.load_table()?;
    run.adapt(&mut table)?;
    run.expect_step(table.calendar(), &config.data.name())?;
    if options.file.is_none() && names != table.names {
        let reason = format!(
            "the series {} are not those of the run's data, {}",
            names.join(", "),
            table.names.join(", ")
        );
        return Err(TrainError::format(&run.file("scaler.json"), reason));
    }
    let spec = config.data.window_spec();
    let (long, short) = by_length(&table, &names, spec.first_start());
    let too_short = short.iter().map(|&one| format!("{}: too short, left out", names[one]));
    let notes: Vec<String> = table.notes.iter().cloned().chain(too_short).collect();
    let scaler = scaler.select(&long);
    let names = long.iter().map(|&one| names[one].clone()).collect();
    let data = Dataset::for_forecast(table, spec, names, scaler)?;
    let (model, mut parameters) = Forecaster::new::<f32>(config.forecaster()?, 0)?;
    load_weights(&mut parameters, &run.weights(false))?;
    let windows: Vec<_> = data.latest_windows().collect();
    let evaluator = Evaluator::new(&model, &parameters, &data, config.train.noise());
    let predictions = forecast_by(&evaluator, &windows, inference)?;
    // A series that has always been constant is forecast as its constant.
    let mut constant = vec![false; data.names().len()];
    data.scaler().constant_series().for_each(|s| constant[s] = data.ends_constant(s));
    let dated = data.calendar().is_some();
    let mut csv = options.format.head(dated);
    let mut remaining = windows.iter();
    for prediction in &predictions {
        let [_, batch, horizon] = prediction.shape;
        let mean = prediction.mean();
        let quantiles = QUANTILES.map(|tau| prediction.quantile(tau));
        for (row, window) in remaining.by_ref().take(batch).enumerate() {
            let series = window.series as usize;
            let constant = constant[series];
            for step in 0..horizon {
                let own = |values: &Vec<f64>| {
                    let z = if constant { 0.0 } else { values[row * horizon + step] };
                    plus(data.scaler().inverse(series, z), data.offset(series))
                };
                let line = ForecastLine {
                    series: &data.names()[series],
                    step: step + 1,
                    date: data.date(series, window.t as usize + step),
                    mean: own(&mean),
                    quantiles: quantiles.iter().map(own).collect(),
                };
                options.format.write(&line, &mut csv);
            }
        }
    }
    Ok(Forecasts { csv, notes })
}

/// The series with enough rows for a forecast, and those without, where there are both; else all
/// are in the first list.
fn by_length(table: &SeriesTable, names: &[String], needed: usize) -> (Vec<usize>, Vec<usize>) {
    let lengths: HashMap<&str, usize> =
        table.names.iter().map(String::as_str).zip(table.columns.iter().map(Vec::len)).collect();
    let is_short = |&one: &usize| lengths.get(names[one].as_str()).is_some_and(|&n| n < needed);
    let (short, long): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(is_short);
    match long.is_empty() {
        true => (short, Vec::new()),
        false => (long, short),
    }
}

/// A forecast with what was subtracted from large integers: then it is an integer itself.
fn plus(value: f64, offset: i128) -> String {
    match offset {
        0 => value.to_string(),
        offset => (offset + value.round() as i128).to_string(),
    }
}
