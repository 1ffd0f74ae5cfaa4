//! The results of a run, as a table and as JSON.

use crate::evaluate::ProbTsScores;
use crate::evaluate::wholes::WholeScores;
use crate::evaluate::wholes::residual::ResidualScores;
use crate::forecaster::Dependence;
use crate::run::{probts_table, whole_table};
use serde::Serialize;
use std::fmt;
use vdn_autograd::Score;
use vdn_model::units::UnitStatistics;
use vdn_train::metrics::{Estimate, Summary};
use vdn_train::units::LayerReports;

/// The nominal coverage in the table.
const LEVEL: f64 = 0.9;

/// The scores of one contestant on the test windows.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name of the contestant.
    pub name: String,
    /// The number of parameters in use; `None` for baselines.
    pub parameters: Option<usize>,
    /// The mean squared error of the point forecast.
    pub mse: f64,
    /// The mean absolute error of the point forecast.
    pub mae: f64,
    /// The predictive score, in nats per time step; `None` for forecasts without a density.
    pub nll: Option<f64>,
    /// The exact CRPS of the predictive distribution.
    pub crps: f64,
    /// The block standard error of the CRPS.
    pub crps_standard_error: Option<f64>,
    /// The share of targets inside the central 90 % interval.
    pub coverage_90: f64,
    /// The mean width of that interval.
    pub width_90: f64,
    /// The pinball losses at 0.1, 0.5 and 0.9.
    pub pinball: Vec<f64>,
    /// The normalised quantile loss.
    pub quantile_loss: Option<f64>,
    /// The mean rate of the units in nats; `None` without units.
    pub rate: Option<f64>,
    /// The mean mismatch of the units in nats; `None` without units.
    pub mismatch: Option<f64>,
    /// The sum of the units' KL in nats per window; `None` without units.
    pub kl: Option<f64>,
    /// The share of units with a rate of at least 0.05 nats; `None` without units.
    pub informed: Option<f64>,
    /// The number of trained epochs; `None` without training.
    pub epochs: Option<usize>,
    /// The epoch whose weights were kept.
    pub best_epoch: Option<usize>,
    /// The wall-clock seconds per epoch.
    pub seconds_per_epoch: Option<f64>,
    /// The scores of the ProbTS benchmark; `None` under other protocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probts: Option<ProbTsScores>,
    /// The scores of the forecasts as wholes.
    #[serde(flatten)]
    pub wholes: WholeScores,
}

impl Row {
    pub(crate) fn new(name: &str, summary: &Summary, score: Score) -> Self {
        let interval = summary.intervals.iter().find(|i| i.level == LEVEL);
        let mean = |e: Estimate| e.mean;
        Self {
            name: name.to_owned(),
            parameters: None,
            mse: summary.mse.mean,
            mae: summary.mae.mean,
            nll: Some(summary.nll(score).mean),
            crps: summary.crps.mean,
            crps_standard_error: summary.crps.standard_error,
            coverage_90: interval.map_or(f64::NAN, |i| i.coverage.mean),
            width_90: interval.map_or(f64::NAN, |i| i.width.mean),
            pinball: summary.pinball.iter().map(|p| p.mixture.mean).collect(),
            quantile_loss: summary.quantile_loss.map(mean),
            rate: None,
            mismatch: None,
            kl: None,
            informed: None,
            epochs: None,
            best_epoch: None,
            seconds_per_epoch: None,
            probts: None,
            wholes: WholeScores::default(),
        }
    }

    /// Returns the row of forecasts by residual paths.
    pub(crate) fn of_residual_paths(name: &str, scores: ResidualScores) -> Self {
        Self {
            name: format!("{name}, residual paths"),
            parameters: None,
            mse: scores.mse,
            mae: scores.mae,
            nll: None,
            crps: scores.crps.mean,
            crps_standard_error: scores.crps.standard_error,
            coverage_90: scores.coverage_90,
            width_90: scores.width_90,
            pinball: scores.pinball,
            quantile_loss: None,
            rate: None,
            mismatch: None,
            kl: None,
            informed: None,
            epochs: None,
            best_epoch: None,
            seconds_per_epoch: None,
            probts: None,
            wholes: scores.wholes,
        }
    }

    pub(crate) fn with_wholes(mut self, wholes: WholeScores) -> Self {
        self.wholes = wholes;
        self
    }

    pub(crate) fn with_probts(mut self, probts: Option<ProbTsScores>) -> Self {
        self.probts = probts;
        self
    }

    pub(crate) fn with_units(mut self, layers: &[UnitStatistics]) -> Self {
        if let Some(units) = UnitStatistics::joined(layers.iter()) {
            let mean = |x: Vec<f64>| x.iter().sum::<f64>() / x.len() as f64;
            self.rate = Some(mean(units.rate()));
            self.mismatch = Some(mean(units.mismatch()));
            self.kl = Some(units.kl().iter().sum());
            self.informed = Some(units.share_with_rate(vdn_train::evaluate::INFORMED));
        }
        self
    }
}

/// The results of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The source of the data.
    pub data: String,
    /// The number of series.
    pub series: usize,
    /// The number of rows of an input window.
    pub input_len: usize,
    /// The number of forecast rows.
    pub horizon: usize,
    /// The covariates of windows, in one line; empty if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub covariates: String,
    /// The numbers of training, validation and test windows.
    pub windows: [usize; 3],
    /// The period of the seasonal naive baseline, and the reason for it.
    pub season: (usize, String),
    /// The weight of every unit's KL: in nats per time step, as configured, and in nats per window.
    pub beta: [f64; 2],
    /// The dependence between the steps of a window: `model.dependence`, with `auto` resolved.
    pub dependence: Dependence,
    /// The decay of the moving average of the weights that was kept; 0: the weights themselves.
    pub ema_decay: f64,
    /// The name of the score in the column NLL.
    pub score: String,
    /// The report on the units; `None` without units.
    pub units: Option<LayerReports>,
    /// Notes of the loader, such as filled and suspicious cells.
    pub notes: Vec<String>,
    /// All contestants, the model first.
    pub rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test] = self.windows;
        writeln!(f, "data      {}, {} series", self.data, self.series)?;
        writeln!(
            f,
            "windows   L {}, H {}; {train} training, {validation} validation, {test} test",
            self.input_len, self.horizon
        )?;
        if !self.covariates.is_empty() {
            writeln!(f, "known     {}", self.covariates)?;
        }
        writeln!(f, "season    {} ({})", self.season.0, self.season.1)?;
        writeln!(f, "beta      {:e} per time step, {:e} per window", self.beta[0], self.beta[1])?;
        let (noise, name) = match self.dependence {
            Dependence::Split => ("shared by all steps of a window, in closed form", "split"),
            Dependence::Joint => ("shared by all steps of a window, in closed form", "joint"),
            Dependence::Sampled | Dependence::Auto => ("passed on by samples", "sampled"),
        };
        writeln!(f, "noise     of the units: {noise} (model.dependence = {name})")?;
        if self.ema_decay > 0.0 {
            writeln!(f, "weights   moving average, decay {}", self.ema_decay)?;
        }
        for note in &self.notes {
            writeln!(f, "note      {note}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<34} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>11} {:>8}",
            "test windows, standardised units",
            "parameters",
            "MSE",
            "NLL",
            "CRPS",
            "cover90",
            "rate",
            "rate >=0.05",
            "s/epoch"
        )?;
        for row in &self.rows {
            let show = |value: Option<f64>, digits: usize| match value {
                Some(value) => format!("{value:.digits$}"),
                None => "-".to_owned(),
            };
            let parameters = row.parameters.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let informed =
                row.informed.map_or_else(|| "-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
            writeln!(
                f,
                "{:<34} {parameters:>10} {:>8.4} {:>8} {:>8.4} {:>8.3} {:>8} {informed:>11} {:>8}",
                row.name,
                row.mse,
                show(row.nll, 4),
                row.crps,
                row.coverage_90,
                show(row.rate, 3),
                show(row.seconds_per_epoch, 2),
            )?;
        }
        write!(
            f,
            "NLL: {} score, nats per time step. CRPS: exact, of the predictive distribution. cover90: share of targets in the\n\
             central 90 % interval. rate: mean over units, nats; beside it the share of units that carry 0.05 nats or more.",
            self.score
        )?;
        whole_table::write(f, &self.rows)?;
        probts_table::write(f, &self.rows)?;
        match &self.units {
            Some(units) => write!(f, "\n\n{units}"),
            None => Ok(()),
        }
    }
}
