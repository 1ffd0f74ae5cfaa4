//! Backtests: forecasts from rolling origins at the end of the series, by models that are trained
//! only on the rows before their origin.
//!
//! ```text
//! for each origin, `step` rows apart, the last one `horizon` rows before the end:
//!     train on the rows before it, at the first origin and at every `refit`-th one after that
//!     forecast, and score against the rows that follow
//!     widen the interval by what it missed at origins whose rows were all known by now
//! ```
//!
//! The interval is calibrated by split-conformal prediction with the scores of Y. Romano, E.
//! Patterson and E. Candès, "Conformalized Quantile Regression", NeurIPS 2019. The score is the
//! distance of a value from its interval, negative inside. Each step of the horizon is calibrated
//! separately, in standardised units. A series uses its own scores if it has at least thirty, and
//! the scores of all series until then.

use crate::config::RunConfig;
use crate::data::{Covariates, Dataset, Protocol, SeriesTable, WindowSpec};
use crate::evaluate::inference::{Inference, forecast_by};
use crate::evaluate::predicted_row::PredictedRow;
use crate::forecaster::{Forecaster, Prediction};
use crate::run::backtest_scores::{BacktestScores, LEVEL, Point, Sums};
use crate::run::experiment::Experiment;
use serde::Serialize;
use std::fmt;
use vdn_model::core::Parameters;
use vdn_train::TrainError;
use vdn_train::data::{FitScope, Scaler};
use vdn_train::evaluate::Evaluator;
use vdn_train::metrics::window_crps;
use vdn_train::run::store::Interrupt;
use vdn_train::train::{ByOutcomes, Divergence, Trainer};

/// The shares of the windows before an origin for training and for validation.
const SHARES: Protocol = Protocol::Reference { train: 0.85, validation: 0.15 };

/// The origins of a backtest, and how often the model is retrained.
///
/// ```
/// use vdn_forecast::run::BacktestOptions;
/// assert_eq!(BacktestOptions::default(), BacktestOptions { windows: 10, step: None, refit: 0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacktestOptions {
    /// The number of origins, 1 to 10 000. Default: 10.
    pub windows: usize,
    /// The number of rows between origins, at least 1; `None`: the horizon.
    pub step: Option<usize>,
    /// The number of origins between trainings; 0: the model is trained only before the first
    /// origin.
    pub refit: usize,
}

impl Default for BacktestOptions {
    fn default() -> Self {
        Self { windows: 10, step: None, refit: 0 }
    }
}

/// The results of a backtest. Scores are in standardised units of the training rows.
#[derive(Clone, Debug, Serialize)]
pub struct Backtest {
    /// The source of the data.
    pub data: String,
    /// The number of rows forecast from each origin.
    pub horizon: usize,
    /// The number of origins.
    pub windows: usize,
    /// The number of rows between origins.
    pub step: usize,
    /// The number of trained models.
    pub trainings: usize,
    /// The nominal coverage of the intervals.
    pub level: f64,
    /// The scores over all series and steps of the horizon.
    pub overall: BacktestScores,
    /// The scores of each step of the horizon; `None` (`null` in JSON) for a step whose targets are
    /// all missing.
    pub by_step: Vec<Option<BacktestScores>>,
    /// The scores of each series, by name; `None` for a series whose targets are all missing.
    pub by_series: Vec<(String, Option<BacktestScores>)>,
    /// Notes on changes to the rows, skipped series, and diverged trainings.
    pub notes: Vec<String>,
}

/// A model trained on the rows before an origin.
struct Fitted {
    model: Forecaster,
    parameters: Parameters<f32>,
    scaler: Scaler,
    covariates: Covariates,
}

/// Backtests the model of a configuration on its data. The splits of `data.protocol` are not used.
/// `trained` is called before every training, with the number of its origin from 0.
///
/// # Errors
/// Fails for options outside their domains, for series that are too short for the origins, and if
/// all targets are missing; the errors of a training.
pub fn backtest(
    config: &RunConfig,
    options: BacktestOptions,
    interrupt: &Interrupt,
    mut trained: impl FnMut(usize),
) -> Result<Backtest, TrainError> {
    let horizon = config.data.horizon;
    let step = options.step.unwrap_or(horizon);
    let refuse = |reason: String| Err(TrainError::config(format!("backtest: {reason}")));
    if !(1..=10_000).contains(&options.windows) {
        return refuse(format!("windows = {}: has to be in 1 to 10000", options.windows));
    }
    if !(1..=1 << 24).contains(&step) {
        return refuse(format!("step = {step}: has to be in 1 to 2^24"));
    }
    // This check is conservative: a backtest trains on fewer rows than a run.
    Experiment::load(config.clone())?.memory()?;
    let table = config.data.load_table()?;
    let spec = WindowSpec { protocol: SHARES, ..config.data.window_spec() };
    // The number of rows from an origin to the end of the series.
    let rest = |window: usize| horizon + (options.windows - 1 - window) * step;
    let long = |&series: &usize| {
        table.columns[series].len() >= rest(0) + spec.first_start() + horizon + 10
    };
    let (used, short): (Vec<usize>, Vec<usize>) = (0..table.names.len()).partition(long);
    if used.is_empty() {
        return refuse(format!(
            "no series has {} rows, which {} origins {step} rows apart ask for",
            rest(0) + spec.first_start() + horizon + 10,
            options.windows
        ));
    }
    let mut notes = table.notes.clone();
    notes.extend(short.iter().map(|&one| format!("{}: too short, left out", table.names[one])));
    let mut sums = Sums::new(horizon, used.len(), step);
    let (mut fitted, mut trainings) = (None, 0);
    for window in 0..options.windows {
        let is_due = fitted.is_none() || (options.refit > 0 && window % options.refit == 0);
        let known = table.first_rows(&used, |length| length - rest(window));
        if is_due {
            trained(window);
            let (model, found) = fit(config, known.clone(), spec, interrupt)?;
            let of = |found| format!("WARNING: before origin {}: {found}", window + 1);
            notes.extend(found.map(of));
            fitted = Some(model);
            trainings += 1;
        }
        let Some(Fitted { model, parameters, scaler, covariates }) = &fitted else { break };
        let data = Dataset::for_forecast(known, spec, names(&table, &used), scaler.clone())?;
        let data = data.with_covariates(covariates.clone())?;
        let windows: Vec<_> = data.latest_windows().collect();
        let evaluator = Evaluator::new(model, parameters, &data, config.train.noise());
        let mut place = 0;
        for prediction in forecast_by(&evaluator, &windows, Inference::Samples)? {
            for row in 0..prediction.shape[1] {
                let column = &table.columns[used[place]];
                let origin = column.len() - rest(window);
                let targets = column[origin..origin + horizon].iter();
                let targets: Vec<f64> = targets.map(|&x| scaler.transform(place, x)).collect();
                let floor = data.floor(place);
                sums.add(window, place, &points(&prediction, row, &targets, floor)?);
                place += 1;
            }
        }
    }
    let (overall, by_step, by_series) = sums.scores();
    let Some(overall) = overall else {
        return refuse("all values behind the origins are missing".to_owned());
    };
    Ok(Backtest {
        data: config.data.name(),
        horizon,
        windows: options.windows,
        step,
        trainings,
        level: LEVEL,
        overall,
        by_step,
        by_series: names(&table, &used).into_iter().zip(by_series).collect(),
        notes,
    })
}

fn names(table: &SeriesTable, used: &[usize]) -> Vec<String> {
    used.iter().map(|&series| table.names[series].clone()).collect()
}

/// Trains on the rows before an origin. Also returns whether the training diverged.
fn fit(
    config: &RunConfig,
    known: SeriesTable,
    spec: WindowSpec,
    interrupt: &Interrupt,
) -> Result<(Fitted, Option<Divergence>), TrainError> {
    let data = config.data.cut(known, spec, FitScope::Training)?;
    let (model, mut parameters) =
        Forecaster::new::<f32>(config.forecaster_for(&data)?, config.train.seed)?;
    let trainer = Trainer { interrupt: interrupt.clone(), ..config.trainer() };
    let session = trainer.session(&model, &mut parameters, &data)?.with_task(ByOutcomes);
    let found = session.run(|_| {})?.divergence();
    let (scaler, covariates) = (data.scaler().clone(), data.covariates().clone());
    Ok((Fitted { model, parameters, scaler, covariates }, found))
}

/// Returns the forecast and the target of each step of a window.
fn points(
    prediction: &Prediction,
    row: usize,
    targets: &[f64],
    floor: Option<f64>,
) -> Result<Vec<Point>, TrainError> {
    let horizon = targets.len();
    let tail = (1.0 - LEVEL) / 2.0;
    let [mean, low, high] =
        [prediction.mean(), prediction.quantile(tail), prediction.quantile(1.0 - tail)];
    let whole = PredictedRow::new(prediction, row);
    let one = |step: usize| {
        let own = whole.step(step);
        let target = targets[step];
        let at = row * horizon + step;
        let crps = if target.is_nan() { f64::NAN } else { own.score(&[target], window_crps)? };
        let floor = floor.unwrap_or(f64::NEG_INFINITY);
        Ok(Point { target, mean: mean[at], low: low[at], high: high[at], crps, floor })
    };
    (0..horizon).map(one).collect()
}

impl Backtest {
    /// Returns the results as JSON; a number that is not finite becomes `null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a structure of names and numbers is JSON")
    }
}

impl fmt::Display for Backtest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { horizon, windows, step, trainings, .. } = self;
        writeln!(f, "data      {}, {} series", self.data, self.by_series.len())?;
        writeln!(
            f,
            "backtest  H {horizon}; {windows} origins, {step} rows apart; trained {trainings} times"
        )?;
        for note in &self.notes {
            writeln!(f, "note      {note}")?;
        }
        writeln!(f)?;
        let heads = ["MSE", "MAE", "CRPS", "cover90", "width90", "before", "after", "width"];
        write!(f, "{:<34}", "standardised units")?;
        heads.iter().try_for_each(|head| write!(f, " {head:>8}"))?;
        writeln!(f)?;
        writeln!(f, "{:<34}{}", "all", self.overall)?;
        let calibrated = self.overall.calibrated.as_ref();
        if let Some(error) = calibrated.and_then(|own| own.after_error) {
            writeln!(f, "{:<34}{:>63}", "  +-, from origin to origin", format!("{error:.4}"))?;
        }
        let steps = (1..).zip(&self.by_step).map(|(step, own)| (format!("step {step}"), own));
        let series = self.by_series.iter().map(|(name, own)| (vdn_train::one_line(name), own));
        for (name, scores) in steps.chain(series) {
            match scores {
                Some(scores) => writeln!(f, "{name:<34}{scores}")?,
                None => writeln!(f, "{name:<34} no value was observed")?,
            }
        }
        write!(
            f,
            "cover90, width90: the central 90 % interval of the model. before, after, width: where \
             at least nine earlier\nforecasts of the step were known, its coverage before and after \
             split-conformal calibration by them, and its\nwidth after. Baselines and the twin are \
             not trained here: `vdn train --twin` compares them on test windows."
        )
    }
}
