//! Forecasts of a run's model beyond the end of the data, as CSV.

use crate::data::Dataset;
use crate::evaluate::inference::{Inference, forecast_by};
use crate::forecaster::Forecaster;
use crate::run::directory::RunDirectory;
use std::fmt::Write;
use std::path::Path;
use vdn_train::data::Table;
use vdn_train::load_weights;
use vdn_train::{Evaluator, TrainError};

/// The quantiles that a forecast is written with.
const QUANTILES: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

/// Forecasts what comes after the last row of each series, in the series' own units, as CSV: `series, step, mean`, and
/// the quantiles of the predictive mixture. `data` replaces the run's file; its series are found by name.
///
/// # Errors
/// The directory, the data or the weights cannot be read; a series of the run is missing, or too short.
pub fn forecast_run(run: &RunDirectory, data: Option<&Path>) -> Result<String, TrainError> {
    forecast_run_by(run, data, Inference::Samples)
}

/// [`forecast_run`], by samples or by moments: then the quantiles are those of normal distributions.
///
/// # Errors
/// Those of [`forecast_run`]; a model that has no moments ([`Forecaster::predict_moments`]).
pub fn forecast_run_by(
    run: &RunDirectory,
    data: Option<&Path>,
    inference: Inference,
) -> Result<String, TrainError> {
    run.verify()?;
    let mut config = run.read_config()?;
    config.validate()?;
    let (names, scaler) = run.read_scaler()?;
    if let Some(path) = data {
        config.data.file = Some(path.to_owned());
        config.data.columns = Some(names.clone());
    }
    let table: Table = config.data.load_table()?;
    if data.is_none() && names != table.names {
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
    let mut csv = "series,step,mean".to_owned();
    for tau in QUANTILES {
        write!(csv, ",q{tau}").expect("writing to a string cannot fail");
    }
    csv.push('\n');
    let mut remaining = windows.iter();
    for prediction in &predictions {
        let [_, batch, horizon] = prediction.shape;
        let mean = prediction.mean();
        let quantiles = QUANTILES.map(|tau| prediction.quantile(tau));
        for (row, window) in remaining.by_ref().take(batch).enumerate() {
            let series = window.series as usize;
            let name = quoted(&data.names()[series]);
            for step in 0..horizon {
                let own =
                    |values: &[f64]| data.scaler().inverse(series, values[row * horizon + step]);
                write!(csv, "{name},{},{}", step + 1, own(&mean))
                    .expect("writing to a string cannot fail");
                for values in &quantiles {
                    write!(csv, ",{}", own(values)).expect("writing to a string cannot fail");
                }
                csv.push('\n');
            }
        }
    }
    Ok(csv)
}

/// A field of a CSV file, quoted where it has to be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
