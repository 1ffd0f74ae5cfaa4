//! Residual paths: a point forecast plus whole residual vectors of validation windows.
//!
//! Careful practitioners use this method with deterministic forecasts. For each validation window
//! of a series, the residuals `r = (y - f) / c` (with the window's scale `c`) are kept as a whole
//! vector, which contains the dependence between steps. The forecast of a test window of the same
//! series is
//!
//! ```text
//! y = f + c r_m,   m = 1 .. M, all equally likely
//! ```
//!
//! For series with a lower limit, values below it are raised to it. There is no density, so there
//! is no likelihood. The scores are the unbiased ones of a sample of size `M`. Scores by paths use
//! at most [`PATHS`] of the residual vectors, evenly spaced in time.

use crate::data::windows::evenly_spaced;
use crate::data::{BlockLength, Dataset, WindowIndex};
use crate::evaluate::predicted_row::per_window;
use crate::evaluate::wholes::closed::{ClosedAverages, WholeWindow, horizon_mean, mean_of, ranges};
use crate::evaluate::wholes::sampled::{PathAverages, by_paths, evenly, path_windows};
use crate::evaluate::wholes::{PATHS, WholeScores};
use vdn_train::TrainError;
use vdn_train::data::Examples;
use vdn_train::metrics::{
    AggregateScore, BlockSums, Estimate, MetricError, SortedSample, VarianceParts, pinball_loss,
};
use vdn_train::train::NoiseSeed;

/// The maximum number of residual vectors of a series. Validation windows overlap, so more of them
/// add little information.
pub(crate) const MOST_RESIDUALS: usize = 1024;
/// The levels of the pinball loss, as for other contestants.
const TAUS: [f64; 3] = [0.1, 0.5, 0.9];
/// The quantiles at the ends of the central 90 % interval.
const INTERVAL: [f64; 2] = [0.05, 0.95];

/// Point forecasts `[n, H]` and the scale of each window, `[n]`.
pub(crate) struct PointForecasts {
    pub(crate) means: Vec<f64>,
    pub(crate) scale: Vec<f64>,
}

/// The scores of forecasts by residual paths.
pub(crate) struct ResidualScores {
    pub(crate) mse: f64,
    pub(crate) mae: f64,
    pub(crate) crps: Estimate,
    pub(crate) coverage_90: f64,
    pub(crate) width_90: f64,
    pub(crate) pinball: Vec<f64>,
    pub(crate) wholes: WholeScores,
}

/// The point forecast of a window, `[H]`, its scale, and the lower limit of its series.
struct Own<'a> {
    mean: &'a [f64],
    scale: f64,
    floor: Option<f64>,
}

/// The residuals of one series, sorted for each kind of score.
struct SeriesResiduals {
    steps: Vec<SortedSample>,
    horizon_mean: SortedSample,
    /// The sums of the residuals, for each block of each kind.
    blocks: Vec<Vec<SortedSample>>,
    /// The whole vectors for paths, `[n, H]`.
    chosen: Vec<f64>,
}

impl SeriesResiduals {
    /// Takes `residuals [M, H]`.
    fn new(residuals: &[f64], horizon: usize, blocks: &[BlockLength]) -> Result<Self, MetricError> {
        let rows = || residuals.chunks_exact(horizon);
        let count = residuals.len() / horizon;
        let sample = |of: &dyn Fn(&[f64]) -> f64| SortedSample::new(rows().map(of).collect());
        let steps = (0..horizon).map(|h| sample(&|row| row[h])).collect::<Result<_, _>>()?;
        let of_block = |block: &BlockLength| -> Result<Vec<SortedSample>, MetricError> {
            ranges(block, horizon)
                .map(|range| sample(&|row| row[range.clone()].iter().sum()))
                .collect()
        };
        let paths = count.min(PATHS);
        let path = |i: usize| &residuals[evenly_spaced(i, count, paths) * horizon..][..horizon];
        Ok(Self {
            steps,
            horizon_mean: sample(&horizon_mean)?,
            blocks: blocks.iter().map(of_block).collect::<Result<_, _>>()?,
            chosen: (0..paths).flat_map(|i| path(i).iter().copied()).collect(),
        })
    }

    /// Returns scores of single steps, averaged over the steps: squared and absolute error, CRPS,
    /// coverage of the 90 % interval, its width, and the pinball losses.
    fn steps(&self, own: &Own<'_>, target: &[f64]) -> Result<[f64; 8], MetricError> {
        let Own { mean, scale, floor } = *own;
        let mut sums = [0.0; 8];
        for (step, (f, y)) in self.steps.iter().zip(mean.iter().zip(target)) {
            let error = y - floor.map_or(*f, |floor| f.max(floor));
            let limited = floor.map(|floor| step.raised_to((floor - f) / scale));
            let step = limited.as_ref().unwrap_or(step);
            let crps = scale * step.fair_crps((y - f) / scale)?;
            let quantile = |tau: f64| Ok(f + scale * step.quantile(tau)?);
            let [low, high] = [quantile(INTERVAL[0])?, quantile(INTERVAL[1])?];
            let inside = f64::from(u8::from(low <= *y && *y <= high));
            let [a, b, c] = TAUS.map(|tau| Ok(pinball_loss(tau, *y, quantile(tau)?)));
            let values = [error * error, error.abs(), crps, inside, high - low, a?, b?, c?];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(sums.map(|sum| sum / target.len() as f64))
    }

    /// Returns the scores of aggregates, from the same aggregates of the residuals.
    fn wholes(
        &self,
        &Own { mean, scale, .. }: &Own<'_>,
        target: &[f64],
        blocks: &[BlockLength],
    ) -> Result<WholeWindow, MetricError> {
        // An aggregate is linear, so its error divided by the scale is compared with the aggregate
        // of the residuals.
        let score = |sample: &SortedSample, error: f64| -> Result<AggregateScore, MetricError> {
            let own = AggregateScore::of_sample(sample, error / scale)?;
            Ok(AggregateScore { crps: scale * own.crps, ..own })
        };
        let of_blocks = blocks.iter().zip(&self.blocks).map(|(block, samples)| {
            let each = ranges(block, target.len()).zip(samples).map(|(range, sample)| {
                let sum = |values: &[f64]| values[range.clone()].iter().sum::<f64>();
                score(sample, sum(target) - sum(mean))
            });
            Ok(mean_of(&each.collect::<Result<Vec<_>, MetricError>>()?))
        });
        let error = horizon_mean(target) - horizon_mean(mean);
        Ok(WholeWindow {
            blocks: of_blocks.collect::<Result<_, MetricError>>()?,
            horizon_mean: score(&self.horizon_mean, error)?,
            parts: [VarianceParts::default(); 2],
        })
    }

    /// Returns the scores of aggregates of steps with a lower limit, from the paths.
    fn limited_wholes(
        &self,
        own: &Own<'_>,
        target: &[f64],
        blocks: &[BlockLength],
    ) -> Result<WholeWindow, MetricError> {
        let paths = self.paths(own);
        let score = |of: &dyn Fn(&[f64]) -> f64| {
            let values = paths.chunks_exact(target.len()).map(of).collect();
            AggregateScore::of_sample(&SortedSample::new(values)?, of(target))
        };
        let of_blocks = blocks.iter().map(|block| {
            let ranges = ranges(block, target.len());
            let sums = ranges.map(|range| score(&|y| y[range.clone()].iter().sum()));
            Ok(mean_of(&sums.collect::<Result<Vec<_>, MetricError>>()?))
        });
        Ok(WholeWindow {
            blocks: of_blocks.collect::<Result<_, MetricError>>()?,
            horizon_mean: score(&horizon_mean)?,
            parts: [VarianceParts::default(); 2],
        })
    }

    /// Returns the paths of a window, `[n, H]`.
    fn paths(&self, &Own { mean, scale, floor }: &Own<'_>) -> Vec<f64> {
        let steps = mean.iter().cycle();
        let paths = self.chosen.iter().zip(steps).map(|(r, f)| f + scale * r);
        paths.map(|y| floor.map_or(y, |floor| y.max(floor))).collect()
    }
}

/// Scores a point forecast with the residual paths of its own validation windows. `None` if a
/// series with test windows has fewer than two validation windows, or if values are missing.
pub(crate) fn score_residual_paths(
    data: &Dataset,
    blocks: &[BlockLength],
    mut point: impl FnMut(&[WindowIndex]) -> Result<PointForecasts, TrainError>,
) -> Result<Option<ResidualScores>, TrainError> {
    if data.has_missing() {
        return Ok(None);
    }
    let (splits, horizon) = (data.splits(), data.spec().horizon);
    let test = &splits.test;
    let by_paths_of = evenly(test, path_windows(test.len(), horizon));
    // Residual paths need no noise.
    let mut wholes = ClosedAverages::new(data, test, blocks, NoiseSeed::default())?;
    let mut sampled = PathAverages::new(data, &by_paths_of)?;
    let mut sums = BlockSums::new(8, Examples::<f64>::block(data, test))?;
    let mut validation = splits.validation.chunk_by(|a, b| a.series == b.series).peekable();
    for windows in test.chunk_by(|a, b| a.series == b.series) {
        let series = windows[0].series;
        while validation.next_if(|of| of[0].series < series).is_some() {}
        let Some(fitted) = validation.next_if(|of| of[0].series == series && of.len() > 1) else {
            return Ok(None);
        };
        let fitted = evenly(fitted, fitted.len().min(MOST_RESIDUALS));
        let residuals = residuals(data, &fitted, &point(&fitted)?)?;
        let residuals = SeriesResiduals::new(&residuals, horizon, blocks)?;
        let forecasts = point(windows)?;
        let floor = data.floor(series as usize);
        let found = per_window(data, windows, |row, target| {
            let mean = &forecasts.means[row * horizon..][..horizon];
            let own = Own { mean, scale: forecasts.scale[row], floor };
            let steps = residuals.steps(&own, target)?;
            let whole = match floor {
                Some(_) => residuals.limited_wholes(&own, target, blocks)?,
                None => residuals.wholes(&own, target, blocks)?,
            };
            let chosen = by_paths_of.binary_search(&windows[row]).is_ok();
            let paths = chosen.then(|| by_paths(&residuals.paths(&own), target));
            Ok((steps, whole, paths.transpose()?))
        })?;
        for (window, (steps, whole, paths)) in windows.iter().zip(found) {
            sums.push(&steps)?;
            wholes.push(*window, &whole, 1.0)?;
            paths.map_or(Ok(()), |paths| sampled.push(*window, paths))?;
        }
        sums.start_series();
    }
    let mut scores = WholeScores::default();
    wholes.finish(false, &mut scores)?;
    sampled.finish(&mut scores)?;
    let mean = |column: usize| Ok(sums.estimate(column)?.mean);
    let pinball = (5..8).map(mean).collect::<Result<_, MetricError>>()?;
    Ok(Some(ResidualScores {
        mse: mean(0)?,
        mae: mean(1)?,
        crps: sums.estimate(2)?,
        coverage_90: mean(3)?,
        width_90: mean(4)?,
        pinball,
        wholes: scores,
    }))
}

/// Returns the residuals on the scale of each window, `[n, H]`.
fn residuals(
    data: &Dataset,
    windows: &[WindowIndex],
    forecasts: &PointForecasts,
) -> Result<Vec<f64>, TrainError> {
    let horizon = data.spec().horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |x| x)?;
    for (i, (y, f)) in targets.iter_mut().zip(&forecasts.means).enumerate() {
        *y = (*y - f) / forecasts.scale[i / horizon];
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_paths_themselves() {
        const HORIZON: usize = 4;
        let blocks = [BlockLength { name: "quarter", steps: 2 }];
        let residuals: Vec<f64> = (0..7 * HORIZON).map(|i| (1.7 * i as f64).sin()).collect();
        let own = SeriesResiduals::new(&residuals, HORIZON, &blocks).unwrap();
        let (mean, scale) = ([0.3, -0.2, 1.0, 0.5], 1.6);
        let target = [0.1, 0.6, 2.2, -0.4];
        let window = Own { mean: &mean, scale, floor: None };
        let paths = own.paths(&window);
        let sample = |of: &dyn Fn(&[f64]) -> f64| {
            SortedSample::new(paths.chunks_exact(HORIZON).map(of).collect()).unwrap()
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        let steps = own.steps(&window, &target).unwrap();
        let mut crps = 0.0;
        for h in 0..HORIZON {
            crps += sample(&|path| path[h]).fair_crps(target[h]).unwrap() / HORIZON as f64;
        }
        near(steps[2], crps);
        let wholes = own.wholes(&window, &target, &blocks).unwrap();
        let score = |of: &dyn Fn(&[f64]) -> f64| {
            AggregateScore::of_sample(&sample(of), of(&target)).unwrap()
        };
        let expected = score(&horizon_mean);
        near(wholes.horizon_mean.crps, expected.crps);
        assert_eq!(wholes.horizon_mean.covered, expected.covered);
        near(wholes.horizon_mean.pit, expected.pit);
        let halves = [score(&|path| path[0] + path[1]), score(&|path| path[2] + path[3])];
        near(wholes.blocks[0][0], 0.5 * (halves[0].crps + halves[1].crps));
    }
}
