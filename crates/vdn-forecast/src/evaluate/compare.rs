//! The baselines of a run, fitted and scored on the very windows that the model sees.

use crate::baselines::{
    Normalisation, RidgeMoments, RidgeSettings, SeasonalNaive, SeriesWindows, Windows,
};
use crate::data::{Dataset, WindowIndex};
use crate::evaluate::predicted_row::{PredictedRow, WindowAverages};
use vdn_train::BatchAverages;
use vdn_train::TrainError;
use vdn_train::metrics::{ScoreSettings, Summary};

/// Windows whose inputs are in memory at a time while the ridge's moments are summed.
const PORTION: usize = 4096;

/// Inputs and targets of some windows.
struct Arrays {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Arrays {
    fn of(data: &Dataset, windows: &[WindowIndex]) -> Result<Self, TrainError> {
        let spec = data.spec();
        let mut x = vec![0.0; windows.len() * spec.input_len];
        let mut y = vec![0.0; windows.len() * spec.horizon];
        data.fill_inputs(windows, 0, &mut x, |v| v)?;
        data.fill_targets(windows, &mut y, |v| v)?;
        Ok(Self { x, y })
    }

    fn windows(&self, data: &Dataset) -> Result<Windows<'_>, TrainError> {
        Ok(Windows::new(&self.x, &self.y, data.spec().input_len, data.spec().horizon)?)
    }
}

/// Scores one forecast per window, which come in order, all of them in `means` and `sigma` `[windows, H]`.
fn score(
    data: &Dataset,
    windows: &[WindowIndex],
    [means, sigma]: [&[f64]; 2],
    averages: BatchAverages,
) -> Result<Summary, TrainError> {
    let mut scores = WindowAverages::new(ScoreSettings::default(), data, windows)?;
    let horizon = data.spec().horizon;
    let batch = averages.batch.max(1);
    for (index, chunk) in windows.chunks(batch).enumerate() {
        let weight = averages.weight(windows.len(), chunk.len());
        scores.push(data, chunk, weight, |row| {
            let first = (index * batch + row) * horizon;
            let of = |x: &[f64]| x[first..first + horizon].to_vec();
            PredictedRow::gaussian(of(means), of(sigma))
        })?;
    }
    scores.summary()
}

/// Closed-form ridge regression on windows less their mean, with Gaussian residuals; its test scores and its penalty.
///
/// # Errors
/// Too few windows, or inputs that do not vary.
pub fn ridge(data: &Dataset, averages: BatchAverages) -> Result<(Summary, f64), TrainError> {
    ridge_with(data, averages, |_, _| {})
}

/// [`ridge`], which tells `progress` how many of its parts are done, and how many there are: the
/// portions of the training windows, and the penalties. Of inputs of some thousand steps each part
/// takes seconds.
///
/// # Errors
/// Those of [`ridge`].
pub fn ridge_with(
    data: &Dataset,
    averages: BatchAverages,
    mut progress: impl FnMut(usize, usize),
) -> Result<(Summary, f64), TrainError> {
    let splits = data.splits();
    let spec = data.spec();
    let settings = RidgeSettings::default();
    let mut moments = RidgeMoments::new(spec.input_len, spec.horizon, Normalisation::default())?;
    let portions = splits.train.chunks(PORTION);
    let (read, total) = (portions.len(), portions.len() + settings.penalties.len());
    for (done, portion) in portions.enumerate() {
        progress(done, total);
        moments.add(&Arrays::of(data, portion)?.windows(data)?)?;
    }
    let validation = Arrays::of(data, &splits.validation)?;
    let ridge = moments.fit_with(&validation.windows(data)?, &settings.penalties, |done| {
        progress(read + done, total);
    })?;
    let test = Arrays::of(data, &splits.test)?;
    let forecast = ridge.predict(&test.x)?;
    let parts = [forecast.mean(), forecast.sigma()];
    Ok((score(data, &splits.test, parts, averages)?, ridge.penalty()))
}

/// The value one season earlier, with Gaussian residuals; its test scores.
///
/// # Errors
/// The series do not reach one season back from the first validation window.
pub fn seasonal_naive(
    data: &Dataset,
    period: usize,
    averages: BatchAverages,
) -> Result<Summary, TrainError> {
    let starts = |windows: &[WindowIndex]| -> Vec<Vec<usize>> {
        let series = 0..data.columns().len();
        let of =
            |s: usize| windows.iter().filter(move |w| w.series as usize == s).map(|w| w.t as usize);
        series.map(|s| of(s).collect()).collect()
    };
    let splits = data.splits();
    let (validation, test) = (starts(&splits.validation), starts(&splits.test));
    let windows = |starts: &'_ [Vec<usize>]| -> Vec<(usize, Vec<usize>)> {
        starts.iter().cloned().enumerate().filter(|(_, starts)| !starts.is_empty()).collect()
    };
    let (validation, test) = (windows(&validation), windows(&test));
    let views: Vec<SeriesWindows<'_>> = validation
        .iter()
        .map(|(s, starts)| SeriesWindows { series: &data.columns()[*s], starts })
        .collect();
    let naive = SeasonalNaive::fit(period, data.spec().horizon, &views)?;
    let (mut windows, mut means, mut sigma) = (Vec::new(), Vec::new(), Vec::new());
    for (s, starts) in &test {
        let forecast = naive.predict(&SeriesWindows { series: &data.columns()[*s], starts })?;
        windows.extend(starts.iter().map(|&t| WindowIndex { series: *s as u32, t: t as u32 }));
        means.extend_from_slice(forecast.mean());
        sigma.extend_from_slice(forecast.sigma());
    }
    score(data, &windows, [&means, &sigma], averages)
}
