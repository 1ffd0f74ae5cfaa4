//! The baselines of a run, fitted and scored on the same windows as the model.

use crate::baselines::{
    Normalisation, Ridge, RidgeMoments, RidgeSettings, SeasonalNaive, SeriesWindows, Windows,
};
use crate::data::{BlockLength, Dataset, WindowIndex};
use crate::evaluate::predicted_row::{PredictedRow, WindowAverages};
use crate::evaluate::wholes::WholeScores;
use crate::evaluate::wholes::closed::ClosedAverages;
use crate::evaluate::wholes::residual::{PointForecasts, ResidualScores, score_residual_paths};
use crate::evaluate::wholes::sampled::{PathSource, Visit, score_sampled};
use crate::forecaster::{Aggregation, Prediction};
use vdn_train::TrainError;
use vdn_train::evaluate::{BatchAverages, EVALUATION_BATCH};
use vdn_train::metrics::{ScoreSettings, Summary};
use vdn_train::train::NoiseSeed;

/// The number of windows whose inputs are in memory at a time while the ridge's moments are summed.
const PORTION: usize = 4096;

/// The inputs and targets of some windows, with missing values filled. A row of inputs has the
/// values, then the numeric covariates, then a one-hot encoding of the categories.
struct Arrays {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Arrays {
    fn of(data: &Dataset, windows: &[WindowIndex]) -> Result<Self, TrainError> {
        let spec = data.spec();
        let (length, beside) = (spec.input_len, beside(data));
        let mut x = vec![0.0; windows.len() * length];
        let mut y = vec![0.0; windows.len() * spec.horizon];
        data.fill_inputs(windows, 0, &mut x, |v| v)?;
        if beside > 0 {
            let values = std::mem::take(&mut x);
            let numbers = data.covariate_numbers();
            x = vec![0.0; windows.len() * (length + beside)];
            let rows = x.chunks_exact_mut(length + beside).zip(values.chunks_exact(length));
            for ((x, values), window) in rows.zip(windows) {
                x[..length].copy_from_slice(values);
                let window = std::slice::from_ref(window);
                data.fill_covariates(window, 0, &mut x[length..length + numbers], |v| v)?;
                data.categories_of(window).for_each(|one| x[length + numbers + one] = 1.0);
            }
        }
        data.fill_filled_targets(windows, &mut y)?;
        Ok(Self { x, y })
    }

    fn windows(&self, data: &Dataset) -> Result<Windows<'_>, TrainError> {
        let inputs = data.spec().input_len + beside(data);
        Ok(Windows::new(&self.x, &self.y, inputs, data.spec().horizon)?)
    }
}

/// Returns the number of covariate inputs of a window.
fn beside(data: &Dataset) -> usize {
    data.covariate_numbers() + data.covariates().categories()
}

/// Normal forecasts of the test windows, independent across steps: one for each window, in the
/// order of the windows.
pub(crate) struct NormalForecasts {
    /// The windows, in ascending order.
    windows: Vec<WindowIndex>,
    horizon: usize,
    means: Vec<f64>,
    sigma: Vec<f64>,
    /// The lower limit of each window's series.
    floors: Option<Vec<f64>>,
}

impl NormalForecasts {
    fn new(data: &Dataset, windows: Vec<WindowIndex>, means: Vec<f64>, sigma: Vec<f64>) -> Self {
        let (horizon, floors) = (data.spec().horizon, data.floors(&windows));
        Self { windows, horizon, means, sigma, floors }
    }

    fn floor(&self, place: usize) -> Option<f64> {
        self.floors.as_ref().map(|floors| floors[place])
    }

    fn row<'a>(&self, values: &'a [f64], place: usize) -> &'a [f64] {
        &values[place * self.horizon..][..self.horizon]
    }

    /// Scores each step of the test windows.
    pub(crate) fn score(
        &self,
        data: &Dataset,
        averages: BatchAverages,
    ) -> Result<Summary, TrainError> {
        let mut scores = WindowAverages::new(ScoreSettings::default(), data, &self.windows)?;
        let batch = averages.batch.max(1);
        for (index, chunk) in self.windows.chunks(batch).enumerate() {
            let weight = averages.weight(self.windows.len(), chunk.len());
            scores.push(data, chunk, weight, |row| {
                let place = index * batch + row;
                let of = |x: &[f64]| self.row(x, place).to_vec();
                PredictedRow::gaussian(of(&self.means), of(&self.sigma), self.floor(place))
            })?;
        }
        scores.summary()
    }

    /// Scores the test windows as wholes.
    pub(crate) fn score_wholes(
        &self,
        data: &Dataset,
        noise: NoiseSeed,
        blocks: &[BlockLength],
    ) -> Result<WholeScores, TrainError> {
        let mut wholes = WholeScores::default();
        let mut closed = ClosedAverages::new(data, &self.windows, blocks, noise)?;
        self.predict(&self.windows, 1, 0, &mut |chunk, prediction| {
            closed.push_batch(data, chunk, prediction, 1.0)
        })?;
        closed.finish(false, &mut wholes)?;
        score_sampled(data, noise, self, &mut wholes)?;
        Ok(wholes)
    }
}

impl PathSource for NormalForecasts {
    fn predict(
        &self,
        windows: &[WindowIndex],
        _: usize,
        _: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), TrainError> {
        for chunk in windows.chunks(EVALUATION_BATCH) {
            let places: Vec<usize> =
                chunk.iter().filter_map(|w| self.windows.binary_search(w).ok()).collect();
            let of = |values: &[f64]| -> Vec<f64> {
                places.iter().flat_map(|place| self.row(values, *place)).copied().collect()
            };
            let prediction = Prediction {
                shape: [1, chunk.len(), self.horizon],
                means: of(&self.means),
                sigma: of(&self.sigma),
                weights: None,
                aggregation: Aggregation::Mean,
                shared: None,
                floor: places.iter().map(|&place| self.floor(place)).collect(),
            };
            visit(chunk, &prediction)?;
        }
        Ok(())
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// A ridge regression fitted on the training windows of a run.
pub(crate) struct FittedRidge {
    ridge: Ridge,
}

impl FittedRidge {
    /// Fits the regression. `progress` is called with the number of finished parts and their total.
    /// The parts are the portions of the training windows, and the penalties. With inputs of some
    /// thousand steps, each part takes seconds.
    pub(crate) fn new(
        data: &Dataset,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, TrainError> {
        let (splits, spec) = (data.splits(), data.spec());
        let settings = RidgeSettings::default();
        let normalisation = Normalisation::default();
        let (beside, horizon) = (beside(data), spec.horizon);
        let inputs = spec.input_len + beside;
        let moments = RidgeMoments::new(inputs, horizon, normalisation)?;
        let mut moments = moments.with_covariates(beside)?;
        let portions = splits.train.chunks(PORTION);
        let (read, total) = (portions.len(), portions.len() + settings.penalties.len());
        for (done, portion) in portions.enumerate() {
            progress(done, total);
            moments.add(&Arrays::of(data, portion)?.windows(data)?)?;
        }
        let validation = Arrays::of(data, &splits.validation)?;
        let validation = validation.windows(data)?;
        let ridge = moments
            .fit_with(&validation, &settings.penalties, |done| progress(read + done, total))?;
        Ok(Self { ridge })
    }

    pub(crate) fn penalty(&self) -> f64 {
        self.ridge.penalty()
    }

    pub(crate) fn forecasts(&self, data: &Dataset) -> Result<NormalForecasts, TrainError> {
        let windows = data.splits().test.clone();
        let forecast = self.ridge.predict(&Arrays::of(data, &windows)?.x)?;
        let (means, sigma) = forecast.into_parts();
        Ok(NormalForecasts::new(data, windows, means, sigma))
    }

    pub(crate) fn residual_paths(
        &self,
        data: &Dataset,
        blocks: &[BlockLength],
    ) -> Result<Option<ResidualScores>, TrainError> {
        score_residual_paths(data, blocks, |windows| {
            let forecast = self.ridge.predict(&Arrays::of(data, windows)?.x)?;
            let scale = (0..windows.len()).filter_map(|i| forecast.scale(i)).collect();
            Ok(PointForecasts { means: forecast.into_parts().0, scale })
        })
    }
}

/// Returns the test scores and the penalty of closed-form ridge regression with Gaussian residuals.
/// The mean of each window is subtracted first.
///
/// # Errors
/// Fails for too few windows, and for inputs that do not vary.
pub fn ridge(data: &Dataset, averages: BatchAverages) -> Result<(Summary, f64), TrainError> {
    let fitted = FittedRidge::new(data, |_, _| {})?;
    Ok((fitted.forecasts(data)?.score(data, averages)?, fitted.penalty()))
}

/// A seasonal naive forecast with the residuals of the validation windows.
pub(crate) struct FittedNaive {
    naive: SeasonalNaive,
}

impl FittedNaive {
    pub(crate) fn new(data: &Dataset, period: usize) -> Result<Self, TrainError> {
        let validation = by_series(&data.splits().validation);
        let views: Vec<SeriesWindows<'_>> = validation
            .iter()
            .map(|(s, starts)| SeriesWindows { series: &data.filled()[*s], starts })
            .collect();
        Ok(Self { naive: SeasonalNaive::fit(period, data.spec().horizon, &views)? })
    }

    pub(crate) fn forecasts(&self, data: &Dataset) -> Result<NormalForecasts, TrainError> {
        let windows = data.splits().test.clone();
        let (mut means, mut sigma) = (Vec::new(), Vec::new());
        for (s, starts) in &by_series(&windows) {
            let series = &data.filled()[*s];
            let forecast = self.naive.predict(&SeriesWindows { series, starts })?;
            means.extend_from_slice(forecast.mean());
            sigma.extend_from_slice(forecast.sigma());
        }
        Ok(NormalForecasts::new(data, windows, means, sigma))
    }

    pub(crate) fn residual_paths(
        &self,
        data: &Dataset,
        blocks: &[BlockLength],
    ) -> Result<Option<ResidualScores>, TrainError> {
        score_residual_paths(data, blocks, |windows| {
            let mut means = Vec::new();
            for (s, starts) in &by_series(windows) {
                let series = &data.filled()[*s];
                let forecast = self.naive.predict(&SeriesWindows { series, starts })?;
                means.extend_from_slice(forecast.mean());
            }
            Ok(PointForecasts { means, scale: vec![1.0; windows.len()] })
        })
    }
}

/// Returns the starts of the windows of each series. The windows have to be grouped by series.
fn by_series(windows: &[WindowIndex]) -> Vec<(usize, Vec<usize>)> {
    let of = |group: &[WindowIndex]| {
        (group[0].series as usize, group.iter().map(|w| w.t as usize).collect())
    };
    windows.chunk_by(|a, b| a.series == b.series).map(of).collect()
}

/// Returns the test scores of seasonal naive forecasts: the value one season earlier, with Gaussian
/// residuals.
///
/// # Errors
/// Fails if the series do not extend one season back from the first validation window.
pub fn seasonal_naive(
    data: &Dataset,
    period: usize,
    averages: BatchAverages,
) -> Result<Summary, TrainError> {
    FittedNaive::new(data, period)?.forecasts(data)?.score(data, averages)
}
