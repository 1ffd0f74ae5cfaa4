//! Scores of windows by series and by step of the horizon.
//!
//! Means over all windows hide two important facts: which series is forecast badly, and how fast a
//! forecast degrades along the horizon. This pass uses the same batches and the same noise as
//! [`evaluate`], so the mean over all series and steps equals the score in the table.
//!
//! [`evaluate`]: crate::evaluate::evaluate::evaluate

use crate::data::{Dataset, WindowIndex};
use crate::evaluate::compare::NormalForecasts;
use crate::evaluate::evaluate::{ForecastEvaluator, point_forecast};
use crate::evaluate::predicted_row::{PredictedRow, per_window};
use crate::evaluate::wholes::sampled::PathSource;
use crate::forecaster::Prediction;
use vdn_model::units::Intervention;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Request};
use vdn_train::evaluate::BatchAverages;
use vdn_train::metrics::{BlockSums, Estimate, PointForecast, StepScore, step_scores};

/// The nominal coverage of the interval.
pub(crate) const LEVEL: f64 = 0.9;

/// Means over the windows of one series, in standardised units.
pub(crate) struct SeriesScores {
    /// The index of the series in the data.
    pub(crate) series: usize,
    pub(crate) windows: usize,
    /// The mean over all steps, with its block standard error.
    pub(crate) crps: Estimate,
    /// The scores of each step of the horizon; `None` for a step without a target in any window.
    pub(crate) steps: Vec<Option<StepScore>>,
    /// For each step, the sum of the weights of the windows with an observed target.
    weights: Vec<f64>,
}

impl SeriesScores {
    /// Returns the mean over all targets.
    pub(crate) fn mean(&self) -> StepScore {
        let mut mean = StepScore::default();
        let total: f64 = self.weights.iter().sum();
        for (step, weight) in self.steps.iter().zip(&self.weights) {
            if let Some(step) = step {
                add(&mut mean, step, weight / total);
            }
        }
        mean
    }
}

/// Returns the means over all series for each step of the horizon; `None` for a step without a
/// target.
pub(crate) fn by_step(series: &[SeriesScores]) -> Vec<Option<StepScore>> {
    let of = |place: usize| {
        let total: f64 = series.iter().map(|own| own.weights[place]).sum();
        let mut mean = None;
        for own in series {
            if let Some(step) = &own.steps[place] {
                add(mean.get_or_insert_default(), step, own.weights[place] / total);
            }
        }
        mean
    };
    (0..series.first().map_or(0, |own| own.steps.len())).map(of).collect()
}

/// Scores windows, which have to be grouped by series.
pub(crate) fn by_series<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
) -> Result<Vec<SeriesScores>, TrainError> {
    let (model, data) = (evaluator.network, evaluator.data);
    let mut sums = Breakdown::new(data, windows, point_forecast(model.config().aggregation));
    evaluator.for_each_pass(windows, Request::INPUTS, |_, graph, batch, chunk| {
        let (prediction, _) = model.predict(graph, batch, Intervention::None)?;
        sums.push(chunk, &prediction, evaluator.averages.weight(windows.len(), chunk.len()))
    })?;
    sums.finish()
}

/// [`by_series`] for normal forecasts.
pub(crate) fn by_series_of(
    forecasts: &NormalForecasts,
    data: &Dataset,
    averages: BatchAverages,
) -> Result<Vec<SeriesScores>, TrainError> {
    let windows = &data.splits().test;
    let mut sums = Breakdown::new(data, windows, PointForecast::Mean);
    for batch in windows.chunks(averages.batch.max(1)) {
        let weight = averages.weight(windows.len(), batch.len());
        forecasts
            .predict(batch, 1, 0, &mut |chunk, prediction| sums.push(chunk, prediction, weight))?;
    }
    sums.finish()
}

/// Sums over windows, which are pushed series by series.
struct Breakdown<'a> {
    data: &'a Dataset,
    point: PointForecast,
    block: usize,
    found: Vec<(BlockSums, SeriesScores)>,
}

impl<'a> Breakdown<'a> {
    fn new(data: &'a Dataset, windows: &[WindowIndex], point: PointForecast) -> Self {
        Self { data, point, block: Examples::<f64>::block(data, windows), found: Vec::new() }
    }

    /// Adds the windows of a batch, all with this weight.
    fn push(
        &mut self,
        windows: &[WindowIndex],
        prediction: &Prediction,
        weight: f64,
    ) -> Result<(), TrainError> {
        let point = self.point;
        let scores = per_window(self.data, windows, |row, target| {
            let row = PredictedRow::new(prediction, row);
            let found = row.score(target, |p, y| step_scores(p, y, point, LEVEL))?;
            // A step with a missing target has no score.
            let mut found = found.into_iter();
            let place = |y: &f64| if y.is_nan() { None } else { found.next() };
            Ok(target.iter().map(place).collect::<Vec<_>>())
        })?;
        for (window, scores) in windows.iter().zip(scores) {
            let series = window.series as usize;
            if self.found.last().is_none_or(|(_, own)| own.series != series) {
                let own = SeriesScores {
                    series,
                    windows: 0,
                    crps: Estimate { mean: 0.0, standard_error: None },
                    steps: vec![None; scores.len()],
                    weights: vec![0.0; scores.len()],
                };
                self.found.push((BlockSums::new(1, self.block)?, own));
            }
            let Some((sums, own)) = self.found.last_mut() else { continue };
            let seen = || scores.iter().flatten();
            let count = seen().count() as f64;
            let crps = seen().map(|step| step.crps).sum::<f64>() / count;
            // Each target has the same weight.
            sums.push_weighted(&[crps], weight * (count / scores.len() as f64))?;
            own.windows += 1;
            for (place, step) in scores.iter().enumerate() {
                let Some(step) = step else { continue };
                own.weights[place] += weight;
                add(own.steps[place].get_or_insert_default(), step, weight);
            }
        }
        Ok(())
    }

    /// Returns the means.
    fn finish(self) -> Result<Vec<SeriesScores>, TrainError> {
        let finish = |(sums, mut own): (BlockSums, SeriesScores)| {
            own.crps = sums.estimate(0)?;
            for (step, weight) in own.steps.iter_mut().zip(&own.weights) {
                if let Some(sum) = step.take() {
                    add(step.insert(StepScore::default()), &sum, 1.0 / weight);
                }
            }
            Ok(own)
        };
        self.found.into_iter().map(finish).collect()
    }
}

/// Adds `weight` times the scores of a step.
fn add(to: &mut StepScore, step: &StepScore, weight: f64) {
    to.squared_error += weight * step.squared_error;
    to.absolute_error += weight * step.absolute_error;
    to.crps += weight * step.crps;
    to.covered += weight * step.covered;
    to.width += weight * step.width;
}
