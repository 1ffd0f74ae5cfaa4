//! Scores in closed form, averaged over windows: horizon mean, block sums, and shares of the units.
//!
//! Windows with missing targets are skipped, because their sums are unknown.
//!
//! Sums of steps with a lower limit have no closed form. They are scored with [`PATHS`] paths of
//! each window. The shares of the units refer to the distribution without the limit.

use crate::data::{BlockLength, Dataset, WindowIndex};
use crate::evaluate::predicted_row::{PredictedRow, per_window};
use crate::evaluate::wholes::{AggregateSummary, BlockSummary, PATHS, UnitShare, WholeScores};
use crate::forecaster::Prediction;
use vdn_model::core::streams::{EVALUATION_STEP, PATH_NOISE};
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::data::Examples;
use vdn_train::metrics::{
    Aggregate, AggregateScore, BlockSums, MetricError, PitHistogram, SortedSample, VarianceParts,
    WindowPrediction,
};
use vdn_train::train::NoiseSeed;

/// The number of bins of the PIT histogram of the horizon mean.
const PIT_BINS: usize = 20;
/// The number of the pass that draws the paths. Other scores use other passes.
const PASS: u64 = 10;
/// The number of columns before those of the blocks: three for the horizon mean, four for parts of
/// variances.
const BEFORE_BLOCKS: usize = 7;

/// The scores of one window.
pub(crate) struct WholeWindow {
    /// The scores of the mean over the horizon.
    pub(crate) horizon_mean: AggregateScore,
    /// The mean scores over the blocks of each kind.
    pub(crate) blocks: Vec<[f64; 3]>,
    /// The variance parts of a step, and of the mean over the horizon.
    pub(crate) parts: [VarianceParts; 2],
}

/// Returns the ranges of the complete blocks in a horizon.
pub(crate) fn ranges(
    block: &BlockLength,
    horizon: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    let steps = block.steps;
    (0..horizon / steps).map(move |k| k * steps..(k + 1) * steps)
}

/// Returns the mean over the horizon.
pub(crate) fn horizon_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Returns the mean of the scores of several blocks: CRPS and the two coverages.
pub(crate) fn mean_of(scores: &[AggregateScore]) -> [f64; 3] {
    let count = scores.len() as f64;
    let mean = |of: fn(&AggregateScore) -> f64| scores.iter().map(of).sum::<f64>() / count;
    [mean(|s| s.crps), mean(|s| s.covered[0]), mean(|s| s.covered[1])]
}

/// Scores one window in closed form.
pub(crate) fn closed_forms(
    prediction: &WindowPrediction<'_>,
    target: &[f64],
    blocks: &[BlockLength],
) -> Result<WholeWindow, MetricError> {
    let horizon = target.len();
    let mean = Aggregate::new(prediction, &vec![1.0 / horizon as f64; horizon])?;
    let mut weights = vec![0.0; horizon];
    let of_blocks = blocks.iter().map(|block| {
        let scores: Vec<AggregateScore> = ranges(block, horizon)
            .map(|range| {
                weights.fill(0.0);
                weights[range.clone()].fill(1.0);
                Aggregate::new(prediction, &weights)?.score(target[range].iter().sum())
            })
            .collect::<Result<_, MetricError>>()?;
        Ok(mean_of(&scores))
    });
    Ok(WholeWindow {
        blocks: of_blocks.collect::<Result<_, MetricError>>()?,
        horizon_mean: mean.score(horizon_mean(target))?,
        parts: [VarianceParts::of_steps(prediction), mean.variance_parts()],
    })
}

/// Scores one window with a lower limit, by paths.
fn by_paths(
    prediction: &Prediction,
    row: usize,
    target: &[f64],
    blocks: &[BlockLength],
    key: NoiseKey,
) -> Result<WholeWindow, MetricError> {
    let horizon = target.len();
    let paths = prediction.row_paths(row, PATHS, key);
    let score = |of: &dyn Fn(&[f64]) -> f64| {
        let values = paths.chunks_exact(horizon).map(of).collect();
        AggregateScore::of_sample(&SortedSample::new(values)?, of(target))
    };
    let of_blocks = blocks.iter().map(|block| {
        let sums = ranges(block, horizon).map(|range| score(&|y| y[range.clone()].iter().sum()));
        Ok(mean_of(&sums.collect::<Result<Vec<_>, MetricError>>()?))
    });
    let free = PredictedRow::new(prediction, row).without_floor();
    let parts = free.score(target, |prediction, _| {
        let mean = Aggregate::new(prediction, &vec![1.0 / horizon as f64; horizon])?;
        Ok([VarianceParts::of_steps(prediction), mean.variance_parts()])
    });
    Ok(WholeWindow {
        blocks: of_blocks.collect::<Result<_, MetricError>>()?,
        horizon_mean: score(&horizon_mean)?,
        parts: parts?,
    })
}

/// Averages over windows, which are pushed in order.
pub(crate) struct ClosedAverages<'a> {
    blocks: &'a [BlockLength],
    /// The key for the paths of windows with a lower limit.
    key: NoiseKey,
    windows: u64,
    sums: BlockSums,
    pit: PitHistogram,
    last_series: Option<u32>,
}

impl<'a> ClosedAverages<'a> {
    pub(crate) fn new(
        data: &Dataset,
        windows: &[WindowIndex],
        blocks: &'a [BlockLength],
        noise: NoiseSeed,
    ) -> Result<Self, TrainError> {
        let columns = BEFORE_BLOCKS + 3 * blocks.len();
        let sums = BlockSums::new(columns, Examples::<f64>::block(data, windows))?;
        let key = noise.key(PATH_NOISE, EVALUATION_STEP).fold_in(PASS);
        let pit = PitHistogram::new(PIT_BINS)?;
        Ok(Self { blocks, key, windows: 0, sums, pit, last_series: None })
    }

    /// Scores the windows of a batch, all with this weight.
    pub(crate) fn push_batch(
        &mut self,
        data: &Dataset,
        windows: &[WindowIndex],
        prediction: &Prediction,
        weight: f64,
    ) -> Result<(), TrainError> {
        let (blocks, key) = (self.blocks, self.key.fold_in(self.windows));
        self.windows += windows.len() as u64;
        let found = per_window(data, windows, |row, target| {
            if target.iter().any(|y| y.is_nan()) {
                return Ok(None);
            }
            let own = || PredictedRow::new(prediction, row);
            Ok(Some(match prediction.floor {
                Some(_) => by_paths(prediction, row, target, blocks, key)?,
                None => own().score(target, |p, y| closed_forms(p, y, blocks))?,
            }))
        })?;
        for (window, whole) in windows.iter().zip(found) {
            whole.map_or(Ok(()), |whole| self.push(*window, &whole, weight))?;
        }
        Ok(())
    }

    pub(crate) fn push(
        &mut self,
        window: WindowIndex,
        whole: &WholeWindow,
        weight: f64,
    ) -> Result<(), TrainError> {
        if self.last_series.is_some_and(|series| series != window.series) {
            self.sums.start_series();
        }
        self.last_series = Some(window.series);
        let AggregateScore { crps, pit, covered } = whole.horizon_mean;
        let mut columns = vec![crps, covered[0], covered[1]];
        columns.extend(whole.parts.iter().flat_map(|parts| [parts.units, parts.noise]));
        columns.extend(whole.blocks.iter().flatten());
        self.sums.push_weighted(&columns, weight)?;
        Ok(self.pit.push(pit.clamp(0.0, 1.0))?)
    }

    /// Writes the means to `to`; the shares of the units only if `with_units`.
    pub(crate) fn finish(&self, with_units: bool, to: &mut WholeScores) -> Result<(), TrainError> {
        let sums = &self.sums;
        if sums.windows() == 0 {
            return Ok(());
        }
        to.horizon_mean = Some(AggregateSummary::of(sums, 0)?);
        to.horizon_mean_pit = Some(self.pit.clone());
        let blocks = self.blocks.iter().enumerate().map(|(k, block)| {
            let scores = AggregateSummary::of(sums, BEFORE_BLOCKS + 3 * k)?;
            Ok(BlockSummary { name: block.name, steps: block.steps, scores })
        });
        to.block_sums = blocks.collect::<Result<_, MetricError>>()?;
        if with_units {
            let share = |first: usize| -> Result<f64, MetricError> {
                let [units, noise] = [sums.estimate(first)?.mean, sums.estimate(first + 1)?.mean];
                Ok(units / (units + noise))
            };
            to.unit_share = Some(UnitShare { step: share(3)?, mean: share(5)? });
        }
        Ok(())
    }
}
