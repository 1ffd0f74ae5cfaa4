//! Whole forecasts beyond the end of the data, as CSV: sampled paths, and aggregates of steps.
//!
//! Quantiles of single steps contain no information on the dependence between steps: the sum of
//! upper quantiles is not a quantile of the sum. A path is one possible future of all steps. So
//! every quantity computed from paths (a week's total, the highest value, the first step below
//! zero) has the right distribution.
//!
//! Means and sums need no paths. Given the units they are normal, and over samples of the units
//! they are mixtures of normals, whose mean and quantiles are exact. If the forecast as a whole has
//! a closed form, they need no samples either. For nonnegative series sums have no closed form;
//! they are computed from paths, like the maximum.

use crate::data::Support;
use crate::evaluate::wholes::PATHS;
use crate::evaluate::wholes::sampled::PathSource;
use crate::run::aggregate_of::{AggregateKind, AggregateOf};
use crate::run::forecast_format::{QUANTILES, quoted};
use crate::run::latest::Latest;
use std::fmt::Write;
use vdn_model::core::streams::{EVALUATION_STEP, PATH_NOISE};
use vdn_train::TrainError;
use vdn_train::metrics::{MetricError, SortedSample};

/// The maximum number of values of all paths together: 2^25 lines, about a gigabyte of text.
const MOST_VALUES: usize = 1 << 25;
/// The number of samples of the units for a mean or a sum without a closed form, and the number of
/// paths for a maximum, or for any aggregate of nonnegative series.
const SAMPLES: usize = 2048;

const WRITES: &str = "writing to a string cannot fail";

/// Returns sampled futures of each series, one line for each path and step.
pub(super) fn paths(latest: &Latest, count: usize) -> Result<String, TrainError> {
    let (data, horizon) = (&latest.data, latest.data.spec().horizon);
    let rows = (latest.windows.len() * horizon).max(1);
    let most = MOST_VALUES / rows;
    if count == 0 || count > most {
        let reason = format!("paths = {count}: has to be 1 to {most} for {rows} series and steps");
        return Err(TrainError::config(reason));
    }
    let date = if data.calendar().is_some() { "date," } else { "" };
    let mut csv = format!("series,path,step,{date}value\n");
    for (window, values) in latest.windows.iter().zip(sampled(latest, count)?) {
        let series = window.series as usize;
        let name = quoted(&data.names()[series]);
        let dates = latest.dates(*window);
        for (i, path) in values.chunks_exact(horizon).enumerate() {
            for (step, value) in path.iter().enumerate() {
                write!(csv, "{name},{},{},", i + 1, step + 1).expect(WRITES);
                if let Some(dates) = &dates {
                    write!(csv, "{},", dates[step]).expect(WRITES);
                }
                writeln!(csv, "{}", latest.own(series, *value, 1)).expect(WRITES);
            }
        }
    }
    Ok(csv)
}

/// Returns the distribution of an aggregate of the next steps, one line for each series.
pub(super) fn aggregate(latest: &Latest, of: AggregateOf) -> Result<String, TrainError> {
    let horizon = latest.data.spec().horizon;
    let AggregateOf { kind, steps } = of;
    let steps = steps.unwrap_or(horizon);
    if steps == 0 || steps > horizon {
        let reason = format!("aggregate of {steps} steps: the model forecasts 1 to {horizon}");
        return Err(TrainError::config(reason));
    }
    let largest = |path: &[f64]| path.iter().copied().fold(f64::MIN, f64::max);
    let average = |path: &[f64]| path.iter().sum::<f64>() / path.len() as f64;
    let times = if kind == AggregateKind::Sum { steps } else { 1 };
    let found = match (kind, latest.data.support()) {
        (AggregateKind::Max, _) => by_paths(latest, steps, largest)?,
        (_, Support::NonNegative) => by_paths(latest, steps, average)?,
        (_, Support::Real) => mean(latest, steps)?,
    };
    let quantiles: Vec<String> = QUANTILES.iter().map(|q| format!("q{q}")).collect();
    let mut csv = format!("series,aggregate,steps,mean,{}\n", quantiles.join(","));
    for (window, values) in latest.windows.iter().zip(found) {
        let series = window.series as usize;
        let name = quoted(&latest.data.names()[series]);
        let own = values.iter().map(|value| latest.own(series, *value, times));
        let own = own.collect::<Vec<_>>().join(",");
        writeln!(csv, "{name},{},{steps},{own}", kind.name()).expect(WRITES);
    }
    Ok(csv)
}

/// Returns `count` paths of each window, `[count, H]` each, in standardised units.
fn sampled(latest: &Latest, count: usize) -> Result<Vec<Vec<f64>>, TrainError> {
    let evaluator = latest.evaluator();
    let key = latest.noise.key(PATH_NOISE, EVALUATION_STEP);
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); latest.windows.len()];
    // Every pass draws all its samples, so that the noise does not depend on the number of paths.
    for pass in 0..count.div_ceil(PATHS) {
        let wanted = (count - pass * PATHS).min(PATHS);
        let key = key.fold_in(pass as u64);
        let mut first = 0;
        evaluator.predict(&latest.windows, PATHS, pass as u64, &mut |chunk, prediction| {
            let key = key.fold_in(first as u64);
            for row in 0..chunk.len() {
                rows[first + row].extend(prediction.row_paths(row, wanted, key));
            }
            first += chunk.len();
            Ok(())
        })?;
    }
    Ok(rows)
}

/// Returns the mean and quantiles, from paths, of the function `of` of the first steps of each
/// window, in standardised units.
fn by_paths(
    latest: &Latest,
    steps: usize,
    of: impl Fn(&[f64]) -> f64,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let horizon = latest.data.spec().horizon;
    let of = |values: Vec<f64>| -> Result<Vec<f64>, TrainError> {
        let values: Vec<f64> = values.chunks_exact(horizon).map(|y| of(&y[..steps])).collect();
        let mut found = vec![values.iter().sum::<f64>() / values.len() as f64];
        let sample = SortedSample::new(values)?;
        for tau in QUANTILES {
            found.push(sample.quantile(tau)?);
        }
        Ok(found)
    };
    sampled(latest, SAMPLES)?.into_iter().map(of).collect()
}

/// Returns the mean and quantiles of the mean of the first steps of each window, in standardised
/// units.
fn mean(latest: &Latest, steps: usize) -> Result<Vec<Vec<f64>>, TrainError> {
    let mut weights = vec![0.0; latest.data.spec().horizon];
    weights[..steps].fill(1.0 / steps as f64);
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(latest.windows.len());
    latest.evaluator().predict(&latest.windows, SAMPLES, 0, &mut |chunk, prediction| {
        for aggregate in &prediction.aggregate(&weights)?[..chunk.len()] {
            let mixture = aggregate.mixture();
            let quantiles = QUANTILES.iter().map(|tau| mixture.quantile(*tau));
            let own = std::iter::once(Ok(mixture.mean())).chain(quantiles);
            found.push(own.collect::<Result<_, MetricError>>()?);
        }
        Ok(())
    })?;
    Ok(found)
}
