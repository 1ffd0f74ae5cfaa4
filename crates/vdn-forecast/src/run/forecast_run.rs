//! Forecasts of a run's model beyond the end of the data, as CSV.

use crate::config::FillPolicy;
use crate::data::Dataset;
use crate::evaluate::inference::{Inference, forecast_by};
use crate::forecaster::Forecaster;
use crate::run::directory::RunDirectory;
use crate::run::forecast_format::{ForecastFormat, ForecastLine, QUANTILES};
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

/// Forecasts what comes after the last row of each series, in the series' own units, as CSV: `series, step, date, mean`
/// (no `date` where times are not known), and the quantiles of the predictive mixture. `data` replaces the run's file; its series are found by name.
///
/// # Errors
/// The directory, the data or the weights cannot be read; a series of the run is missing, or too short.
pub fn forecast_run(run: &RunDirectory, data: Option<&Path>) -> Result<String, TrainError> {
    forecast_run_by(
        run,
        ForecastOptions { file: data, ..ForecastOptions::default() },
        Inference::Samples,
    )
}

/// [`forecast_run`], by samples or by moments: then the quantiles are those of normal distributions.
///
/// # Errors
/// Those of [`forecast_run`]; a model that has no moments ([`Forecaster::predict_moments`]).
pub fn forecast_run_by(
    run: &RunDirectory,
    options: ForecastOptions<'_>,
    inference: Inference,
) -> Result<String, TrainError> {
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
    let data = Dataset::for_forecast(table, config.data.window_spec(), names, scaler)?;
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
    Ok(csv)
}

/// A forecast with what was subtracted from large integers: then it is an integer itself.
fn plus(value: f64, offset: i64) -> String {
    match offset {
        0 => value.to_string(),
        offset => (i128::from(offset) + value.round() as i128).to_string(),
    }
}
