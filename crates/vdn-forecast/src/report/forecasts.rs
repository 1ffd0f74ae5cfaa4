//! Charts of the forecasts of some test windows with the observed values: fans with paths, and the
//! distributions of the mean and the maximum.

use crate::data::WindowIndex;
use crate::data::windows::evenly_spaced;
use crate::evaluate::evaluate::forecast;
use crate::evaluate::wholes::PATHS;
use crate::evaluate::wholes::sampled::PathSource;
use crate::run::experiment::Evaluated;
use vdn_model::core::streams::{EVALUATION_STEP, PATH_NOISE};
use vdn_train::TrainError;
use vdn_train::report::html::{Band, Bars, LineChart, Page, Series, Traces};

/// The number of test windows whose forecasts are drawn.
const FANS: usize = 6;
/// The length of the past at the start of a fan, in horizons.
const PAST: usize = 2;
/// The number of paths in a fan: enough to see which steps move together, few enough to follow one.
const DRAWN: usize = 3;
/// The number of paths for a histogram.
const COUNTED: usize = 4 * PATHS;
/// The number of bins of a histogram.
const BINS: usize = 24;
/// The quantiles of a fan: the ends of both intervals, and the median.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The forecast of one window, in standardised units.
struct Forecast {
    window: WindowIndex,
    /// The values of [`QUANTILES`], each `[H]`.
    quantiles: [Vec<f64>; 5],
    /// The paths, `[COUNTED, H]`.
    paths: Vec<f64>,
}

/// Adds fans and histograms of evenly spaced windows.
pub(super) fn forecasts(page: &mut Page, evaluated: &Evaluated) -> Result<(), TrainError> {
    let found = found(evaluated)?;
    let fans: Vec<String> = found.iter().map(|own| fan(evaluated, own)).collect();
    page.section(
        "Forecasts",
        "Test windows, evenly spaced, in the units of the data: what was observed, the median and \
         the central 50 and 90 % of the predictive mixture, and sampled paths. A path is one \
         possible future of all steps together.",
        &fans,
    );
    let both = [Whole::Mean, Whole::Maximum].into_iter();
    let figures: Vec<String> = both
        .flat_map(|whole| found.iter().map(move |own| (whole, own)))
        .map(|(whole, own)| histogram(evaluated, own, whole))
        .collect();
    page.section(
        "Several steps together",
        "The same windows: how the mean over the horizon and its largest value are forecast by \
         1024 paths, and what was observed.",
        &figures,
    );
    Ok(())
}

/// Returns the forecasts of the windows to draw.
fn found(evaluated: &Evaluated) -> Result<Vec<Forecast>, TrainError> {
    let Evaluated { experiment, model, parameters, .. } = evaluated;
    let test = &experiment.data.splits().test;
    let count = FANS.min(test.len());
    let windows: Vec<WindowIndex> =
        (0..count).map(|i| test[evenly_spaced(i, test.len(), count)]).collect();
    let evaluator = experiment.evaluator(model, parameters);
    let mut all: Vec<Forecast> = Vec::with_capacity(count);
    let mut remaining = windows.iter();
    for prediction in &forecast(&evaluator, &windows)? {
        let [_, batch, horizon] = prediction.shape;
        let quantiles = QUANTILES.map(|tau| prediction.quantile(tau));
        for (row, window) in remaining.by_ref().take(batch).enumerate() {
            let own = |values: &Vec<f64>| values[row * horizon..][..horizon].to_vec();
            let quantiles = quantiles.each_ref().map(own);
            all.push(Forecast { window: *window, quantiles, paths: Vec::new() });
        }
    }
    let mut first = 0;
    evaluator.predict(&windows, PATHS, 0, &mut |chunk, prediction| {
        let key = evaluator.noise.key(PATH_NOISE, EVALUATION_STEP).fold_in(first as u64);
        for row in 0..chunk.len() {
            all[first + row].paths = prediction.row_paths(row, COUNTED, key);
        }
        first += chunk.len();
        Ok(())
    })?;
    Ok(all)
}

impl Forecast {
    /// Returns the name of the series, and the date or row of the first step.
    fn title(&self, evaluated: &Evaluated) -> String {
        let data = &evaluated.experiment.data;
        let (series, t) = (self.window.series as usize, self.window.t as usize);
        let place = data.date(series, t).unwrap_or_else(|| format!("row {t}"));
        format!("{} from {place}", data.names()[series])
    }

    /// Converts a standardised value to the unit of its series.
    fn own(&self, evaluated: &Evaluated, z: f64) -> f64 {
        evaluated.experiment.data.scaler().inverse(self.window.series as usize, z)
    }

    /// Returns the unit of the vertical axis. Large integers are shown minus an offset.
    fn unit(&self, evaluated: &Evaluated) -> String {
        match evaluated.experiment.data.offset(self.window.series as usize) {
            0 => "units of the data".to_owned(),
            offset => format!("units of the data, less {offset}"),
        }
    }

    fn horizon(&self) -> usize {
        self.quantiles[0].len()
    }
}

fn fan(evaluated: &Evaluated, forecast: &Forecast) -> String {
    let data = &evaluated.experiment.data;
    let (horizon, t) = (forecast.horizon(), forecast.window.t as usize);
    let own = |z: f64| forecast.own(evaluated, z);
    let observed = &data.columns()[forecast.window.series as usize];
    let first = t.saturating_sub(PAST * horizon);
    let past = (first..t + horizon).filter(|&i| !observed[i].is_nan());
    let past = past.map(|i| [i as f64 - t as f64 + 1.0, own(observed[i])]);
    let steps = || (1..=horizon).map(|step| step as f64);
    let [low90, low50, median, high50, high90] = &forecast.quantiles;
    let band = |name: &str, low: &[f64], high: &[f64]| {
        let ends = low.iter().zip(high);
        let points = steps().zip(ends).map(|(x, (low, high))| [x, own(*low), own(*high)]).collect();
        Band { name: name.to_owned(), points }
    };
    let line = |values: &[f64]| steps().zip(values).map(|(x, y)| [x, own(*y)]).collect();
    LineChart {
        title: forecast.title(evaluated),
        x_label: "steps ahead".to_owned(),
        y_label: forecast.unit(evaluated),
        bands: vec![band("90 %", low90, high90), band("50 %", low50, high50)],
        traces: Traces {
            name: "paths".to_owned(),
            lines: forecast.paths.chunks_exact(horizon).take(DRAWN).map(line).collect(),
        },
        series: vec![
            Series { name: "median".to_owned(), points: line(median), dashed: false },
            Series { name: "observed".to_owned(), points: past.collect(), dashed: false },
        ],
        ..LineChart::default()
    }
    .draw()
}

/// A function that maps all steps to one number.
#[derive(Clone, Copy, Debug)]
enum Whole {
    Mean,
    Maximum,
}

impl Whole {
    fn of(self, steps: &[f64]) -> f64 {
        match self {
            Self::Mean => steps.iter().sum::<f64>() / steps.len() as f64,
            Self::Maximum => steps.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

fn histogram(evaluated: &Evaluated, forecast: &Forecast, whole: Whole) -> String {
    let horizon = forecast.horizon();
    let (series, t) = (forecast.window.series as usize, forecast.window.t as usize);
    let own = |steps: &[f64]| forecast.own(evaluated, whole.of(steps));
    let values: Vec<f64> = forecast.paths.chunks_exact(horizon).map(own).collect();
    let observed = own(&evaluated.experiment.data.columns()[series][t..t + horizon]);
    let name = match whole {
        Whole::Mean => "mean",
        Whole::Maximum => "maximum",
    };
    let mut bars = Bars::of(&values, BINS);
    bars.heights.iter_mut().for_each(|height| *height /= values.len() as f64);
    Bars {
        title: format!("{}: {name} of {horizon} steps", forecast.title(evaluated)),
        x_label: forecast.unit(evaluated),
        y_label: "share of paths".to_owned(),
        mark: (!observed.is_nan()).then(|| (observed, "observed".to_owned())),
        ..bars
    }
    .draw()
}
