//! Fans: forecasts of some test windows beside what was observed.

use crate::data::WindowIndex;
use crate::evaluate::evaluate::forecast;
use crate::forecaster::Prediction;
use crate::run::experiment::Evaluated;
use vdn_train::TrainError;
use vdn_train::report::html::{Band, LineChart, Page, Series};

/// Test windows whose forecasts are drawn.
const FANS: usize = 6;
/// Steps of the past that a fan starts with, in horizons.
const PAST: usize = 2;

/// Fans of windows that are evenly spaced.
pub(super) fn fans(page: &mut Page, evaluated: &Evaluated) -> Result<(), TrainError> {
    let Evaluated { experiment, model, parameters, .. } = evaluated;
    let data = &experiment.data;
    let test = &data.splits().test;
    let count = FANS.min(test.len());
    let windows: Vec<WindowIndex> =
        (0..count).map(|i| test[(2 * i + 1) * test.len() / (2 * count)]).collect();
    let predictions = forecast(&experiment.evaluator(model, parameters), &windows)?;
    let mut figures = Vec::new();
    let mut remaining = windows.iter();
    for prediction in &predictions {
        for (row, window) in remaining.by_ref().take(prediction.shape[1]).enumerate() {
            figures.push(fan(evaluated, prediction, row, *window));
        }
    }
    page.section(
        "Forecasts",
        "Test windows, evenly spaced, in the series' own units: what was observed, the median and the central 50 and 90 % of the \
         predictive mixture.",
        &figures,
    );
    Ok(())
}

fn fan(evaluated: &Evaluated, prediction: &Prediction, row: usize, window: WindowIndex) -> String {
    let data = &evaluated.experiment.data;
    let horizon = prediction.shape[2];
    let (series, t) = (window.series as usize, window.t as usize);
    let own = |x: f64| data.scaler().inverse(series, x);
    let observed = &data.columns()[series];
    let first = t.saturating_sub(PAST * horizon);
    let past = (first..t + horizon).map(|i| [i as f64 - t as f64 + 1.0, own(observed[i])]);
    let quantile = |tau: f64| prediction.quantile(tau)[row * horizon..][..horizon].to_vec();
    let steps = || (1..=horizon).map(|step| step as f64);
    let band = |name: &str, low: f64, high: f64| {
        let ends = quantile(low).into_iter().zip(quantile(high));
        let points = steps().zip(ends).map(|(x, (low, high))| [x, own(low), own(high)]).collect();
        Band { name: name.to_owned(), points }
    };
    let median = steps().zip(quantile(0.5)).map(|(x, y)| [x, own(y)]).collect();
    LineChart {
        title: format!("{}, row {t}", data.names()[series]),
        x_label: "steps ahead".to_owned(),
        bands: vec![band("90 %", 0.05, 0.95), band("50 %", 0.25, 0.75)],
        series: vec![
            Series { name: "median".to_owned(), points: median, dashed: false },
            Series { name: "observed".to_owned(), points: past.collect(), dashed: false },
        ],
        ..LineChart::default()
    }
    .draw()
}
