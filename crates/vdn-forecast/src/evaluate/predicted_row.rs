//! Predicted windows in the form that the metrics take, scored in parallel.

use crate::data::{Dataset, WindowIndex};
use crate::forecaster::{Prediction, SharedNoise};
use vdn_tensor::parallel;
use vdn_train::TrainError;
use vdn_train::data::Examples;
use vdn_train::metrics::{MetricError, ScoreSettings, Scores, Summary, WindowPrediction};

/// Returns `score(place, target [H])` for each window, in order. The windows are scored in
/// parallel.
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

/// The numbers of one predicted window, in the layout that the metrics take.
#[derive(Debug)]
pub(crate) struct PredictedRow {
    pub(crate) means: Vec<f64>,
    pub(crate) sigma: Vec<f64>,
    pub(crate) weights: Option<Vec<f64>>,
    /// The noise that its steps share, as a batch of one.
    shared: Option<SharedNoise>,
    /// The lower limit of the forecast quantity.
    floor: Option<f64>,
}

impl PredictedRow {
    pub(crate) fn new(prediction: &Prediction, row: usize) -> Self {
        let [samples, batch, _] = prediction.shape;
        let (means, sigma) = prediction.row(row);
        let sigma = sigma.to_vec();
        let weights = prediction.weights.as_ref();
        let weights = weights.map(|w| (0..samples).map(|s| w[s * batch + row]).collect());
        let shared = prediction.shared.as_ref().map(|shared| {
            let (loadings, own) = shared.row(row, sigma.len());
            let (loadings, own) = (loadings.to_vec(), own.to_vec());
            SharedNoise { loadings, own, ..*shared }
        });
        let floor = prediction.floor.as_ref().map(|floor| floor[row]);
        Self { means, sigma, weights, shared, floor }
    }

    /// Returns the distribution without its limit.
    pub(crate) fn without_floor(self) -> Self {
        Self { floor: None, ..self }
    }

    /// Keeps the first `samples` samples, or all if there are fewer.
    pub(crate) fn first(mut self, samples: usize) -> Self {
        self.means.truncate(samples * self.sigma.len());
        if let Some(weights) = &mut self.weights {
            weights.truncate(samples);
            let total: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= total);
        }
        self
    }

    /// Returns the prediction of some steps.
    fn at(&self, steps: &[usize]) -> Self {
        let horizon = self.sigma.len();
        let of = |values: &[f64]| -> Vec<f64> { steps.iter().map(|&h| values[h]).collect() };
        let shared = self.shared.as_ref().map(|shared| {
            let SharedNoise { causes, loadings, own, apart } = shared;
            let row = |&h: &usize| loadings[h * causes..][..*causes].iter().copied();
            let loadings = steps.iter().flat_map(row).collect();
            SharedNoise { causes: *causes, loadings, own: of(own), apart: *apart }
        });
        Self {
            means: self.means.chunks_exact(horizon).flat_map(of).collect(),
            sigma: of(&self.sigma),
            weights: self.weights.clone(),
            shared,
            floor: self.floor,
        }
    }

    /// Returns the prediction of one step.
    pub(crate) fn step(&self, step: usize) -> Self {
        let means = self.means.iter().skip(step).step_by(self.sigma.len()).copied().collect();
        let (sigma, weights) = (vec![self.sigma[step]], self.weights.clone());
        Self { means, sigma, weights, shared: None, floor: self.floor }
    }

    /// Returns the result of `rule` for this prediction and `target [H]`. Steps with a missing
    /// target are excluded.
    pub(crate) fn score<V>(
        &self,
        target: &[f64],
        rule: impl FnOnce(&WindowPrediction<'_>, &[f64]) -> Result<V, MetricError>,
    ) -> Result<V, MetricError> {
        if target.iter().any(|y| y.is_nan()) {
            let seen: Vec<usize> = (0..target.len()).filter(|&h| !target[h].is_nan()).collect();
            let targets: Vec<f64> = seen.iter().map(|&h| target[h]).collect();
            return self.at(&seen).score(&targets, rule);
        }
        let weights = self.weights.as_deref();
        let mut window = WindowPrediction::new(&self.means, &self.sigma, weights, target.len())?;
        if let Some(shared) = &self.shared {
            window = window.with_shared_noise(shared.part(0, target.len()))?;
        }
        if let Some(floor) = self.floor {
            window = window.with_floor(floor)?;
        }
        rule(&window, target)
    }

    /// Returns a normal forecast, with or without a lower limit, as one sample.
    pub(crate) fn gaussian(means: Vec<f64>, sigma: Vec<f64>, floor: Option<f64>) -> Self {
        Self { means, sigma, weights: None, shared: None, floor }
    }
}

/// Scores windows in parallel and averages them in order.
pub(crate) struct WindowAverages {
    scores: Scores,
    last_series: Option<u32>,
}

impl WindowAverages {
    /// Returns averages over `windows` of `data`. A block covers as many windows as have
    /// overlapping targets.
    pub(crate) fn new(
        settings: ScoreSettings,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<Self, TrainError> {
        let block = Examples::<f64>::block(data, windows);
        let mut scores = Scores::new(settings, block)?;
        if data.has_missing() {
            scores = scores.with_missing_steps(data.spec().horizon);
        }
        Ok(Self { scores, last_series: None })
    }

    /// Adds windows with this weight. `predict(place in the chunk)` returns the prediction of a
    /// window.
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
