//! The scores that need samples: scores by paths, and the joint log-likelihood.
//!
//! Every path has its own sample of the units. So paths are independent draws from the model, and
//! their energy score is unbiased. Scores by paths cost `O(paths^2 H + paths H^2)` for each window,
//! so only [`path_windows`] evenly spaced windows are scored.

use crate::data::windows::evenly_spaced;
use crate::data::{Dataset, WindowIndex};
use crate::evaluate::evaluate::ForecastEvaluator;
use crate::evaluate::predicted_row::{PredictedRow, per_window};
use crate::evaluate::wholes::{AggregateSummary, JointSummary, PATHS, WholeScores};
use crate::forecaster::{Prediction, Variant};
use vdn_autograd::Score;
use vdn_model::core::streams::{EVALUATION_STEP, PATH_NOISE, WHOLE_FORECASTS};
use vdn_model::units::Intervention;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Request};
use vdn_train::evaluate::BatchAverages;
use vdn_train::metrics::{
    AggregateScore, BlockSums, JointNll, MetricError, Paths, SortedSample, energy_score,
    variogram_score, window_nll,
};
use vdn_train::train::NoiseSeed;

/// The maximum number of windows that are scored by paths, for a horizon of 96.
const PATH_WINDOWS: usize = 512;
/// The minimum number, for every horizon.
const LEAST_PATH_WINDOWS: usize = 64;
/// The maximum number of windows for the joint log-likelihood.
const JOINT_WINDOWS: usize = 64;
/// The number of samples of one pass of the joint log-likelihood.
const PASS: usize = 256;
/// The number of its passes: 2048 samples in total.
const PASSES: usize = 8;
/// The number of samples of the first estimate, which are the first ones of the first pass.
const FEW: usize = 32;

/// A callback for the predictions of a batch of windows.
pub(crate) type Visit<'a> = dyn FnMut(&[WindowIndex], &Prediction) -> Result<(), TrainError> + 'a;

/// A source of predictive distributions of windows.
pub(crate) trait PathSource {
    /// Calls `visit` with the predictions of `windows`, batch by batch and in order. Each
    /// prediction has `samples` samples, or a closed form. Different passes have different noise.
    fn predict(
        &self,
        windows: &[WindowIndex],
        samples: usize,
        pass: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), TrainError>;

    /// Whether one sample is the whole distribution.
    fn is_exact(&self) -> bool;

    /// Whether the density of a whole window is available, in closed form or by samples.
    fn has_joint_density(&self) -> bool {
        true
    }

    /// Returns two negative log-likelihoods of each window in closed form, in nats: with dependent
    /// steps, and with independent steps. `None` without a closed form.
    fn closed_nll(
        &self,
        _data: &Dataset,
        _windows: &[WindowIndex],
    ) -> Result<Option<Vec<[f64; 2]>>, TrainError> {
        Ok(None)
    }
}

impl<T: Element> PathSource for ForecastEvaluator<'_, T> {
    fn predict(
        &self,
        windows: &[WindowIndex],
        samples: usize,
        pass: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), TrainError> {
        if self.network.has_closed_form() {
            let own = self.averaging(BatchAverages::default());
            return own.for_each_pass(windows, Request::INPUTS, |_, graph, batch, chunk| {
                visit(chunk, &own.network.predict(graph, batch, Intervention::None)?.0)
            });
        }
        // This batch size needs as much memory as an evaluation with the configured number of
        // samples.
        let own = self.network.config().evaluate_samples;
        let samples = if self.is_exact() { 1 } else { samples };
        let batch = (self.averages.batch.max(1).saturating_mul(own) / samples).max(1);
        let batch = batch.min(self.averages.batch.max(1));
        let seed = self.noise.key(WHOLE_FORECASTS, EVALUATION_STEP).fold_in(pass).seed;
        let noise = NoiseSeed { seed, ..self.noise };
        let averages = BatchAverages { batch, ..self.averages };
        let mut source = self.averaging(averages);
        source.noise = noise;
        source.for_each_pass(windows, Request::INPUTS, |_, graph, batch, chunk| {
            let prediction = source.network.predict_samples(graph, batch, samples)?;
            visit(chunk, &prediction)
        })
    }

    fn is_exact(&self) -> bool {
        self.network.config().variant != Variant::Variational
    }

    /// Whether the density is available. The closed form is a density of normal distributions,
    /// which windows with a lower limit do not have.
    fn has_joint_density(&self) -> bool {
        self.is_exact() || !self.network.has_closed_form() || self.data.floor(0).is_none()
    }

    fn closed_nll(
        &self,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<Option<Vec<[f64; 2]>>, TrainError> {
        if self.is_exact() || !self.network.has_closed_form() {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(windows.len());
        let own = self.averaging(BatchAverages::default());
        own.for_each_pass(windows, Request::INPUTS, |_, graph, batch, chunk| {
            let (prediction, _) = own.network.predict(graph, batch, Intervention::None)?;
            all.extend(per_window(data, chunk, |row, target| {
                let steps = PredictedRow::new(&prediction, row).score(target, window_nll)?;
                let steps = steps.of(Score::Marginal) * target.len() as f64;
                Ok([-prediction.window_log_likelihood(row, target), steps])
            })?);
            Ok(())
        })?;
        Ok(Some(all))
    }
}

/// Returns the number of windows to score by paths, out of `windows` windows with this horizon.
pub(crate) fn path_windows(windows: usize, horizon: usize) -> usize {
    let affordable = (PATH_WINDOWS * 96 / horizon.max(96)).max(LEAST_PATH_WINDOWS);
    windows.min(affordable)
}

/// Returns `count` evenly spaced windows, in order.
pub(crate) fn evenly(windows: &[WindowIndex], count: usize) -> Vec<WindowIndex> {
    (0..count).map(|i| windows[evenly_spaced(i, windows.len(), count)]).collect()
}

/// The scores of one window by paths: maximum, energy score, variogram score.
pub(crate) type PathWindow = (AggregateScore, f64, f64);

/// Scores one window by paths `[n, H]`.
pub(crate) fn by_paths(paths: &[f64], target: &[f64]) -> Result<PathWindow, MetricError> {
    let paths = Paths::new(paths, target.len())?;
    let largest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sample = SortedSample::new(paths.of_each(largest))?;
    let maximum = AggregateScore::of_sample(&sample, largest(target))?;
    Ok((maximum, energy_score(&paths, target)?, variogram_score(&paths, target)?))
}

/// Averages of scores by paths over windows, which are pushed in order.
pub(crate) struct PathAverages {
    sums: BlockSums,
    last_series: Option<u32>,
}

impl PathAverages {
    pub(crate) fn new(data: &Dataset, windows: &[WindowIndex]) -> Result<Self, TrainError> {
        let sums = BlockSums::new(5, Examples::<f64>::block(data, windows))?;
        Ok(Self { sums, last_series: None })
    }

    pub(crate) fn push(
        &mut self,
        window: WindowIndex,
        (maximum, energy, variogram): PathWindow,
    ) -> Result<(), TrainError> {
        start(&mut self.sums, &mut self.last_series, window);
        let [half, most] = maximum.covered;
        Ok(self.sums.push(&[maximum.crps, half, most, energy, variogram])?)
    }

    pub(crate) fn finish(&self, to: &mut WholeScores) -> Result<(), TrainError> {
        let (energy, variogram) = (self.sums.estimate(3)?, self.sums.estimate(4)?);
        to.maximum = Some(AggregateSummary::of(&self.sums, 0)?);
        to.energy_score = Some(energy.mean);
        to.energy_score_standard_error = energy.standard_error;
        to.variogram_score = Some(variogram.mean);
        to.variogram_score_standard_error = variogram.standard_error;
        to.path_windows = Some(self.sums.windows());
        Ok(())
    }
}

/// Closes the open block if the series changes.
fn start(sums: &mut BlockSums, last: &mut Option<u32>, window: WindowIndex) {
    if last.is_some_and(|series| series != window.series) {
        sums.start_series();
    }
    *last = Some(window.series);
}

/// Scores a contestant by paths on some of the test windows, and computes its joint log-likelihood.
pub(crate) fn score_sampled(
    data: &Dataset,
    noise: NoiseSeed,
    source: &dyn PathSource,
    to: &mut WholeScores,
) -> Result<(), TrainError> {
    let test = data.complete(&data.splits().test);
    if test.is_empty() {
        return Ok(());
    }
    let windows = evenly(&test, path_windows(test.len(), data.spec().horizon));
    let mut averages = PathAverages::new(data, &windows)?;
    let mut done = 0;
    source.predict(&windows, PATHS, 0, &mut |chunk, prediction| {
        let key = noise.key(PATH_NOISE, EVALUATION_STEP).fold_in(done as u64);
        done += chunk.len();
        let found = per_window(data, chunk, |row, target| {
            by_paths(&prediction.row_paths(row, PATHS, key), target)
        })?;
        chunk.iter().zip(found).try_for_each(|(window, found)| averages.push(*window, found))
    })?;
    averages.finish(to)?;
    to.joint_nll = source.has_joint_density().then(|| joint(data, source)).transpose()?;
    Ok(())
}

/// Returns the joint log-likelihood from increasing numbers of samples, or in closed form if
/// available.
fn joint(data: &Dataset, source: &dyn PathSource) -> Result<JointSummary, TrainError> {
    let test = data.complete(&data.splits().test);
    let windows = evenly(&test, test.len().min(JOINT_WINDOWS));
    let closed = source.closed_nll(data, &windows)?;
    let exact = source.is_exact();
    // The columns: estimates from 32, 256 and 2048 samples, the closed form, and independent steps.
    let mut found = vec![[0.0; 5]; windows.len()];
    if let Some(closed) = &closed {
        found.iter_mut().zip(closed).for_each(|(to, values)| to[3..].copy_from_slice(values));
    }
    let mut sums = vec![JointNll::default(); windows.len()];
    let passes = match (&closed, exact) {
        (Some(_), _) => 0,
        (None, true) => 1,
        (None, false) => PASSES,
    };
    for pass in 0..passes {
        let mut first = 0;
        source.predict(&windows, PASS, 1 + pass as u64, &mut |chunk, prediction| {
            let before = &sums[first..];
            let after = per_window(data, chunk, |row, target| {
                let mut own = before[row];
                let few = PredictedRow::new(prediction, row).first(FEW);
                let at_first = few.score(target, |prediction, target| {
                    let mut few = JointNll::default();
                    few.push(prediction, target).map(|()| few.value())
                })?;
                let all = PredictedRow::new(prediction, row);
                all.score(target, |p, y| own.push(p, y))?;
                let steps = all.score(target, |p, y| Ok(window_nll(p, y)?.of(Score::Marginal)))?;
                Ok((at_first, own, steps * target.len() as f64))
            })?;
            for (place, (few, own, steps)) in (first..).zip(after) {
                let value = own.value().unwrap_or(f64::NAN);
                sums[place] = own;
                if pass == 0 {
                    found[place][0] = few.unwrap_or(f64::NAN);
                    found[place][1] = value;
                    found[place][4] = steps;
                }
                found[place][2] = value;
                if exact {
                    found[place][3] = value;
                }
            }
            first += chunk.len();
            Ok(())
        })?;
    }
    let mut sums = BlockSums::new(6, Examples::<f64>::block(data, &windows))?;
    let mut last = None;
    let has_closed = exact || closed.is_some();
    let best = if has_closed { 3 } else { 2 };
    for (window, values) in windows.iter().zip(&found) {
        start(&mut sums, &mut last, *window);
        let [few, more, most, form, steps] = *values;
        sums.push(&[few, more, most, form, steps, steps - values[best]])?;
    }
    let best = sums.estimate(best)?;
    let noise = (!exact).then(|| sums.estimate(5)).transpose()?;
    let by = |column: usize| sums.estimate(column).map(|found| found.mean);
    let sampled = |column: usize| (!has_closed).then(|| by(column)).transpose();
    Ok(JointSummary {
        closed_form: has_closed.then_some(best.mean),
        samples_32: sampled(0)?,
        samples_256: sampled(1)?,
        samples_2048: sampled(2)?,
        standard_error: best.standard_error,
        noise_value: noise.map(|noise| noise.mean),
        noise_value_standard_error: noise.and_then(|noise| noise.standard_error),
        windows: windows.len(),
    })
}
