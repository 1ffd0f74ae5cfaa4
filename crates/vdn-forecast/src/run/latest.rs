//! The model of a run, and the input rows of its next forecast.

use crate::config::FillPolicy;
use crate::data::{Covariates, Dataset, SeriesTable, Support, WindowIndex};
use crate::evaluate::ForecastEvaluator;
use crate::forecaster::{Forecaster, ForecasterConfig};
use crate::run::directory::RunDirectory;
use crate::run::memory::{RunMemory, RunSizes};
use std::collections::HashMap;
use std::path::Path;
use vdn_model::core::Parameters;
use vdn_train::TrainError;
use vdn_train::evaluate::{EVALUATION_BATCH, Evaluator};
use vdn_train::run::load_weights;
use vdn_train::train::NoiseSeed;

/// The model of a run, and the last window of each of its series.
pub(super) struct Latest {
    pub(super) data: Dataset,
    /// The last window of each series that is long enough, in their order.
    pub(super) windows: Vec<WindowIndex>,
    pub(super) noise: NoiseSeed,
    /// Notes on changes to the rows and on skipped series, one sentence each.
    pub(super) notes: Vec<String>,
    /// For each series, whether it has always been constant. Its forecast is that constant.
    constant: Vec<bool>,
    model: Forecaster,
    parameters: Parameters<f32>,
}

impl Latest {
    /// Reads the run and its input rows: from `file`, or from the run's own file. `fill` replaces
    /// the run's fill policy for missing values.
    pub(super) fn load(
        run: &RunDirectory,
        file: Option<&Path>,
        fill: Option<FillPolicy>,
        by_samples: bool,
    ) -> Result<Self, TrainError> {
        run.verify()?;
        let mut config = run.read_config()?;
        config.validate()?;
        let (names, scaler) = run.read_scaler()?;
        if let Some(fill) = fill {
            config.data.fill = fill;
        }
        if let Some(path) = file {
            config.data.file = Some(path.to_owned());
            config.data.columns = Some(names.clone());
        }
        let mut table = config.data.load_table()?;
        run.adapt(&mut table)?;
        let uncompared = run.expect_step(table.calendar(), &config.data.name())?;
        if file.is_none() && names != table.names {
            let reason = format!(
                "the series {} are not those of the run's data, {}",
                names.join(", "),
                table.names.join(", ")
            );
            return Err(TrainError::format(&run.file("scaler.json"), reason));
        }
        let spec = config.data.window_spec();
        let needed = spec.first_start();
        let (long, left_out) = by_fitness(&table, &names, needed);
        let left_out = left_out.iter().map(|&(one, why)| match why {
            Unfit::Short => format!("{}: too short, left out", names[one]),
            Unfit::Ended => {
                format!("{}: the last {needed} rows hold no value, left out", names[one])
            }
        });
        let mut notes: Vec<String> = table.notes.clone();
        notes.extend(uncompared.into_iter().chain(left_out));
        let covariates = run.read_covariates()?;
        let long = with_known_categories(&covariates, &table, &names, long, &mut notes);
        let scaler = scaler.select(&long);
        let names = long.iter().map(|&one| names[one].clone()).collect();
        let data = Dataset::for_forecast(table, spec, names, scaler)?;
        let data = data.with_covariates(covariates)?;
        let model = config.forecaster_for(&data)?;
        let windows: Vec<WindowIndex> = data.latest_windows().collect();
        let sizes = RunSizes {
            rows: data.columns().iter().map(Vec::len).max().unwrap_or(0),
            series: data.columns().len(),
            windows: [0, 0, windows.len()],
            evaluation_batch: EVALUATION_BATCH,
            masked: data.has_missing(),
            ..RunSizes::default()
        };
        // By moments no sample is drawn.
        let samples = if by_samples { model.evaluate_samples } else { 1 };
        let drawn = ForecasterConfig { evaluate_samples: samples, ..model };
        RunMemory::of_forecast(&drawn, &sizes).estimate().check_stored(config.run)?;
        let (model, mut parameters) = Forecaster::new::<f32>(model, 0)?;
        load_weights(&mut parameters, &run.weights(false))?;
        let mut constant = vec![false; data.names().len()];
        data.scaler().constant_series().for_each(|s| constant[s] = data.ends_constant(s));
        let noise = config.train.noise();
        Ok(Self { data, windows, noise, notes, constant, model, parameters })
    }

    /// Returns the evaluator that forecasts from these rows.
    pub(super) fn evaluator(&self) -> ForecastEvaluator<'_, f32> {
        Evaluator::new(&self.model, &self.parameters, &self.data, self.noise)
    }

    /// Converts a standardised value of a series to its own unit, multiplied by `times`. The result
    /// is an integer for a series that is read minus an offset, because its values are large
    /// integers.
    pub(super) fn own(&self, series: usize, z: f64, times: usize) -> String {
        let z = if self.constant[series] { 0.0 } else { z };
        let value = times as f64 * self.data.scaler().inverse(series, z);
        // Rounding may bring the limit itself back as a negative number.
        let limited = self.data.support() == Support::NonNegative;
        match self.data.offset(series) * times as i128 {
            0 if limited => value.max(0.0).to_string(),
            0 => value.to_string(),
            offset => {
                let value = offset + value.round() as i128;
                if limited { value.max(0) } else { value }.to_string()
            }
        }
    }

    /// Returns the dates of the forecast steps of a window; `None` if times are not known.
    pub(super) fn dates(&self, window: WindowIndex) -> Option<Vec<String>> {
        let (series, first) = (window.series as usize, window.t as usize);
        (first..first + self.data.spec().horizon).map(|row| self.data.date(series, row)).collect()
    }
}

/// The reason why a series cannot be forecast from its last rows.
#[derive(Clone, Copy)]
enum Unfit {
    Short,
    /// No input row of the forecast has a value.
    Ended,
}

/// Returns the series that can be forecast, and the others with the reason. If no series can be
/// forecast, returns all of them in the first list.
fn by_fitness(
    table: &SeriesTable,
    names: &[String],
    needed: usize,
) -> (Vec<usize>, Vec<(usize, Unfit)>) {
    let columns: HashMap<&str, &Vec<f64>> =
        table.names.iter().map(String::as_str).zip(&table.columns).collect();
    let unfit = |one: usize| {
        let column = columns.get(names[one].as_str())?;
        match column.len().checked_sub(needed) {
            None => Some((one, Unfit::Short)),
            Some(first) if column[first..].iter().all(|x| x.is_nan()) => Some((one, Unfit::Ended)),
            Some(_) => None,
        }
    };
    let left_out: Vec<(usize, Unfit)> = (0..names.len()).filter_map(unfit).collect();
    if left_out.len() == names.len() {
        return ((0..names.len()).collect(), Vec::new());
    }
    ((0..names.len()).filter(|&one| unfit(one).is_none()).collect(), left_out)
}

/// Returns the series whose categories occur in training, or all series if there are none.
fn with_known_categories(
    covariates: &Covariates,
    table: &SeriesTable,
    names: &[String],
    series: Vec<usize>,
    notes: &mut Vec<String>,
) -> Vec<usize> {
    if covariates.statics.is_empty() || covariates.check_names(table).is_err() {
        return series;
    }
    let places: HashMap<&str, usize> = table.names.iter().map(String::as_str).zip(0..).collect();
    let mut left_out = Vec::new();
    let is_known = |one: &usize| {
        let place = places.get(names[*one].as_str());
        let unknown = place.and_then(|&place| covariates.unknown_category(table, place));
        if let Some((column, category)) = unknown {
            let name = &names[*one];
            left_out.push(format!(
                "{name}: the model was not trained on its `{column}`, {category:?}: left out"
            ));
        }
        unknown.is_none()
    };
    let known: Vec<usize> = series.iter().copied().filter(is_known).collect();
    if known.is_empty() {
        return series;
    }
    notes.extend(left_out);
    known
}
