//! A trained model on windows: all metrics for a test, and what its units carry.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::forecaster::{Aggregation, Forecaster, Intervention, Prediction};
use rand::seq::SliceRandom;
use vdn_autograd::Tape;
use vdn_model::{Bindings, Graph, Mode, Parameters, UnitStatistics};
use vdn_tensor::Element;
use vdn_tensor::noise::{NoiseKey, NoiseRng};
use vdn_tensor::parallel;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;
use vdn_train::metrics::MedianConvention;
use vdn_train::metrics::{
    MetricError, PointForecast, ScoreSettings, Scores, Summary, WindowPrediction, overlap_block,
    window_crps,
};
use vdn_train::{BatchAverages, EVALUATION_BATCH};

/// The training step that the noise of evaluation is addressed by: no training step reaches it.
const STEP: u32 = vdn_model::streams::EVALUATION_STEP;
/// The stream that orders windows before their latents are swapped.
const ORDER: u32 = vdn_model::streams::EVALUATION_ORDER;

/// The noise of batch number `index` of an evaluation.
pub(crate) fn evaluation_key(noise: NoiseSeed, index: usize) -> NoiseKey {
    noise.key(0, STEP).fold_in(index as u64)
}

/// The number of windows whose targets overlap, in the order of these windows: the length of blocks for standard errors.
#[must_use]
pub fn block_length(data: &Dataset, windows: &[WindowIndex]) -> usize {
    let pairs = windows.windows(2).filter(|w| w[0].series == w[1].series && w[0].t < w[1].t);
    let spacing = pairs.map(|w| w[1].t - w[0].t).min().unwrap_or(1);
    overlap_block(data.spec().horizon, spacing as usize)
}

/// Forward passes over windows, batch by batch, without gradients.
struct Passes<'a, T: Element> {
    model: &'a Forecaster,
    parameters: &'a Parameters<T>,
    data: &'a Dataset,
    noise: NoiseSeed,
    tape: Tape<T>,
    bindings: Bindings,
    buffers: BatchBuffers<T>,
    statistics: UnitStatistics,
}

impl<'a, T: Element> Passes<'a, T> {
    fn new(
        model: &'a Forecaster,
        parameters: &'a Parameters<T>,
        data: &'a Dataset,
        noise: NoiseSeed,
    ) -> Self {
        Self {
            model,
            parameters,
            data,
            noise,
            tape: Tape::new(),
            bindings: Bindings::new(),
            buffers: BatchBuffers::default(),
            statistics: UnitStatistics::new(),
        }
    }

    /// The predictive distribution of batch number `index`. Noise is addressed by the batch's number.
    fn predict(
        &mut self,
        index: usize,
        windows: &[WindowIndex],
        intervention: Intervention,
    ) -> Result<Prediction, TrainError> {
        let key = evaluation_key(self.noise, index);
        let batch = self.buffers.fill(self.data, windows, false)?;
        let Self { model, parameters, tape, bindings, statistics, .. } = self;
        tape.reset();
        tape.no_grad(|tape| {
            let mut graph = Graph::new(tape, parameters, bindings, Mode::Evaluate, key);
            let (prediction, units) = model.predict(&mut graph, &batch, intervention)?;
            if let Some(units) = units {
                statistics.take_in(windows.len(), tape, &units);
            }
            Ok(prediction)
        })
    }
}

/// The order in which windows are visited: shuffled where latents are swapped between neighbours.
fn order_under(
    intervention: Intervention,
    windows: &[WindowIndex],
    noise: NoiseSeed,
) -> Vec<WindowIndex> {
    let mut order = windows.to_vec();
    if matches!(intervention, Intervention::Permute | Intervention::LayerPermute(_)) {
        order.shuffle(&mut NoiseRng::new(noise.key(ORDER, STEP)));
    }
    order
}

/// All metrics on windows, and the units' statistics (`None` for a deterministic twin).
///
/// With [`Intervention::Permute`] (of a layer, too) the windows are shuffled first, so that latents are swapped between
/// windows that have nothing to do with each other; averages do not depend on the order, block standard errors mean nothing then.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn evaluate<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    intervention: Intervention,
    averages: BatchAverages,
) -> Result<(Summary, Option<UnitStatistics>), TrainError> {
    let noise = noise.into();
    let order = order_under(intervention, windows, noise);
    let mut passes = Passes::new(model, parameters, data, noise);
    let settings = ScoreSettings {
        point: match model.config().aggregation {
            Aggregation::Median => PointForecast::Median,
            Aggregation::LowerMedian => PointForecast::SampleMedian(MedianConvention::LowerMiddle),
            Aggregation::Mean | Aggregation::Score => PointForecast::Mean,
        },
        ..ScoreSettings::default()
    };
    let mut scores = WindowAverages::new(settings, data, &order)?;
    for (index, chunk) in order.chunks(averages.batch.max(1)).enumerate() {
        let prediction = passes.predict(index, chunk, intervention)?;
        let weight = averages.weight(order.len(), chunk.len());
        scores.push(data, chunk, weight, |row| PredictedRow::new(&prediction, row))?;
    }
    let units = (passes.statistics.rows() > 0).then_some(passes.statistics);
    Ok((scores.summary()?, units))
}

/// The mean exact CRPS of the predictive mixtures on windows.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn mean_crps<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    averages: BatchAverages,
) -> Result<f64, TrainError> {
    crps_under(model, parameters, data, windows, noise.into(), averages, Intervention::None)
}

/// [`mean_crps`], with something done to the latents.
pub(crate) fn crps_under<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: NoiseSeed,
    averages: BatchAverages,
    intervention: Intervention,
) -> Result<f64, TrainError> {
    let score = |prediction: &Prediction, row: usize, target: &[f64]| {
        PredictedRow::new(prediction, row).score(target, window_crps)
    };
    mean_score(
        "crps",
        Passes::new(model, parameters, data, noise),
        windows,
        averages,
        intervention,
        score,
    )
}

/// The mean over windows of what `score(prediction, row, target [H])` makes of each.
fn mean_score<T: Element>(
    operation: &'static str,
    mut passes: Passes<'_, T>,
    windows: &[WindowIndex],
    averages: BatchAverages,
    intervention: Intervention,
    score: impl Fn(&Prediction, usize, &[f64]) -> Result<f64, MetricError> + Sync,
) -> Result<f64, TrainError> {
    if windows.is_empty() {
        return Err(MetricError::Empty { operation }.into());
    }
    let order = order_under(intervention, windows, passes.noise);
    let mut sum = 0.0;
    for (index, chunk) in order.chunks(averages.batch.max(1)).enumerate() {
        let prediction = passes.predict(index, chunk, intervention)?;
        let scores = per_window(passes.data, chunk, |row, target| score(&prediction, row, target))?;
        sum += averages.weight(order.len(), chunk.len()) * scores.iter().sum::<f64>();
    }
    Ok(sum / order.len() as f64)
}

/// The mean over windows of `mean_s sum_h ln p(y | z_s)`, nats per window: the likelihood part of the evidence lower bound.
///
/// # Errors
/// No windows, or windows that do not fit the model; a prediction that is not finite.
pub fn mean_log_likelihood<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    averages: BatchAverages,
) -> Result<f64, TrainError> {
    let score = |prediction: &Prediction, row: usize, target: &[f64]| {
        Ok(prediction.window_log_likelihood(row, target))
    };
    let passes = Passes::new(model, parameters, data, noise.into());
    mean_score("log_likelihood", passes, windows, averages, Intervention::None, score)
}

/// What `score(place, target [H])` makes of each window, in their order; they are scored in parallel.
pub(crate) fn per_window<V: Send>(
    data: &Dataset,
    windows: &[WindowIndex],
    score: impl Fn(usize, &[f64]) -> Result<V, MetricError> + Sync + Send,
) -> Result<Vec<V>, TrainError> {
    let horizon = data.spec().horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |x| x)?;
    let mut found: Vec<Option<Result<V, MetricError>>> = windows.iter().map(|_| None).collect();
    parallel::for_each_chunk(&mut found, 1, |row, to| {
        to[0] = Some(score(row, &targets[row * horizon..][..horizon]));
    });
    found.into_iter().flatten().map(|score| score.map_err(Into::into)).collect()
}

/// The predictive distribution of windows, in one piece.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn forecast<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
) -> Result<Vec<Prediction>, TrainError> {
    forecast_under(model, parameters, data, windows, noise, Intervention::None)
}

/// [`forecast`], with something done to the latents.
pub(crate) fn forecast_under<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    intervention: Intervention,
) -> Result<Vec<Prediction>, TrainError> {
    let mut passes = Passes::new(model, parameters, data, noise.into());
    let chunks = windows.chunks(EVALUATION_BATCH).enumerate();
    chunks.map(|(index, chunk)| passes.predict(index, chunk, intervention)).collect()
}

/// The numbers of one predicted window, laid out as the metrics want them.
#[derive(Debug)]
pub(crate) struct PredictedRow {
    pub(crate) means: Vec<f64>,
    pub(crate) sigma: Vec<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

impl PredictedRow {
    pub(crate) fn new(prediction: &Prediction, row: usize) -> Self {
        let [samples, batch, horizon] = prediction.shape;
        let mut means = Vec::with_capacity(samples * horizon);
        for s in 0..samples {
            means.extend_from_slice(&prediction.means[(s * batch + row) * horizon..][..horizon]);
        }
        let sigma = prediction.sigma[row * horizon..][..horizon].to_vec();
        let weights = prediction.weights.as_ref();
        let weights = weights.map(|w| (0..samples).map(|s| w[s * batch + row]).collect());
        Self { means, sigma, weights }
    }

    /// What `rule` makes of it against `target [H]`.
    pub(crate) fn score<V>(
        &self,
        target: &[f64],
        rule: impl FnOnce(&WindowPrediction<'_>, &[f64]) -> Result<V, MetricError>,
    ) -> Result<V, MetricError> {
        let weights = self.weights.as_deref();
        rule(&WindowPrediction::new(&self.means, &self.sigma, weights, target.len())?, target)
    }

    /// A normal forecast: one sample.
    pub(crate) fn gaussian(means: Vec<f64>, sigma: Vec<f64>) -> Self {
        Self { means, sigma, weights: None }
    }
}

/// Scores windows in parallel and averages them in order.
pub(crate) struct WindowAverages {
    scores: Scores,
    last_series: Option<u32>,
}

impl WindowAverages {
    /// Averages over `windows` of `data`, with blocks as long as targets overlap.
    pub(crate) fn new(
        settings: ScoreSettings,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<Self, TrainError> {
        let block = block_length(data, windows);
        Ok(Self { scores: Scores::new(settings, block)?, last_series: None })
    }

    /// Adds windows of this weight, each predicted by `predict(its place in the chunk)`.
    pub(crate) fn push(
        &mut self,
        data: &Dataset,
        windows: &[WindowIndex],
        weight: f64,
        predict: impl Fn(usize) -> PredictedRow + Sync + Send,
    ) -> Result<(), TrainError> {
        let (scorer, before) = (self.scores.scorer(), self.scores.windows());
        let scored = per_window(data, windows, |row, target| {
            predict(row)
                .score(target, |prediction, target| scorer.window(before + row, prediction, target))
        })?;
        for (window, scores) in windows.iter().zip(scored) {
            if self.last_series.is_some_and(|series| series != window.series) {
                self.scores.start_series();
            }
            self.last_series = Some(window.series);
            self.scores.push_weighted(&scores, weight)?;
        }
        Ok(())
    }

    pub(crate) fn summary(&self) -> Result<Summary, TrainError> {
        Ok(self.scores.summary()?)
    }
}
