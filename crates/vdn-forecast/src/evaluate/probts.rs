//! Test scores by the definitions of the ProbTS benchmark: windows of all series together, 100
//! sampled paths, on the original scale.

use crate::data::{Dataset, PROBTS_STRIDE, Protocol, WindowIndex};
use crate::evaluate::predicted_row::per_window;
use crate::evaluate::wholes::sampled::PathSource;
use serde::Serialize;
use std::collections::BTreeMap;
use vdn_model::core::streams::{EVALUATION_STEP, PATH_NOISE};
use vdn_train::TrainError;
use vdn_train::metrics::{BlockSums, Paths, ProbTsWindow, overlap_block};
use vdn_train::train::NoiseSeed;

/// The number of paths of each window.
const PATHS: usize = 100;
/// The number of the pass that draws the paths. Scores of whole forecasts use other passes.
const PASS: u64 = 9;

/// The scores of the ProbTS benchmark, dimensionless: means over windows of all series together.
/// Compare them only with its tables: its "CRPS" differs from the CRPS of this library
/// ([`probts`](vdn_train::metrics::probts)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProbTsScores {
    /// The normalised quantile loss at nine levels, `Q = 10`.
    pub crps_q10: f64,
    /// The block standard error of `crps_q10`.
    pub crps_q10_standard_error: Option<f64>,
    /// The normalised quantile loss at nineteen levels, `Q = 20`.
    pub crps_q20: f64,
    /// The normalised absolute error of the median.
    pub nmae: f64,
    /// The number of test windows, each of all series.
    pub windows: usize,
    /// The number of sampled paths of each window.
    pub paths: usize,
}

/// Rejects data for which the benchmark has no scores, before training.
pub(crate) fn check_probts(data: &Dataset) -> Result<(), TrainError> {
    if !matches!(data.spec().protocol, Protocol::ProbTs(_)) {
        return Ok(());
    }
    let refuse = |reason: String| Err(TrainError::config(format!("protocol probts: {reason}")));
    let horizon = data.spec().horizon;
    let names = data.names();
    let mut scales: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
    for window in &data.splits().test {
        let (series, t) = (window.series as usize, window.t as usize);
        let (count, scale) = scales.entry(window.t).or_default();
        *count += 1;
        let targets = data.columns()[series][t..t + horizon].iter();
        *scale += targets.map(|z| original(data, series, *z).abs()).sum::<f64>();
    }
    if data.has_missing() {
        return refuse("values are missing; choose a fill policy".to_owned());
    }
    for (t, (count, scale)) in scales {
        if count != names.len() {
            return refuse(format!(
                "a window has all series, and {count} of {} have one at row {t}; the series have \
                 to be of one length",
                names.len()
            ));
        }
        if scale == 0.0 {
            return refuse(format!("all values of the test window at row {t} are 0"));
        }
    }
    Ok(())
}

/// Converts a standardised value to the original scale of its series.
fn original(data: &Dataset, series: usize, z: f64) -> f64 {
    data.scaler().inverse(series, z) + data.offset(series) as f64
}

/// Scores the test windows; `None` under other protocols.
pub(crate) fn score_probts(
    data: &Dataset,
    noise: NoiseSeed,
    source: &dyn PathSource,
) -> Result<Option<ProbTsScores>, TrainError> {
    if !matches!(data.spec().protocol, Protocol::ProbTs(_)) {
        return Ok(None);
    }
    let (test, horizon) = (&data.splits().test, data.spec().horizon);
    let mut windows: BTreeMap<u32, ProbTsWindow> = BTreeMap::new();
    let key = noise.key(PATH_NOISE, EVALUATION_STEP).fold_in(PASS);
    let mut done = 0;
    source.predict(test, PATHS, PASS, &mut |chunk: &[WindowIndex], prediction| {
        let key = key.fold_in(done as u64);
        done += chunk.len();
        let parts = per_window(data, chunk, |row, target| {
            let series = chunk[row].series as usize;
            let own = |values: &[f64]| -> Vec<f64> {
                values.iter().map(|z| original(data, series, *z)).collect()
            };
            let paths = own(&prediction.row_paths(row, PATHS, key));
            let mut part = ProbTsWindow::default();
            part.push(&Paths::new(&paths, horizon)?, &own(target))?;
            Ok(part)
        })?;
        for (window, part) in chunk.iter().zip(&parts) {
            let whole = windows.entry(window.t).or_default();
            *whole = std::mem::take(whole).joined(part);
        }
        Ok(())
    })?;
    let mut sums = BlockSums::new(3, overlap_block(horizon, PROBTS_STRIDE))?;
    for (t, window) in &windows {
        let Some(score) = window.score() else {
            let reason = format!("protocol probts: the scores of the window at row {t} overflow");
            return Err(TrainError::config(reason));
        };
        sums.push(&[score.crps_q10, score.crps_q20, score.nmae])?;
    }
    let coarse = sums.estimate(0)?;
    Ok(Some(ProbTsScores {
        crps_q10: coarse.mean,
        crps_q10_standard_error: coarse.standard_error,
        crps_q20: sums.estimate(1)?.mean,
        nmae: sums.estimate(2)?.mean,
        windows: windows.len(),
        paths: PATHS,
    }))
}
