//! The results of a run, as a table and as JSON.

use crate::config::TaskName;
use crate::evaluate::{RegressionScores, TaskScores};
use crate::run::splits_report::SplitScores;
use serde::Serialize;
use std::fmt;
use vdn_train::train::Divergence;
use vdn_train::units::LayerReports;

/// The scores of one model on the test rows.
#[derive(Clone, Debug, Serialize)]
pub struct TaskRow {
    /// The name of the model.
    pub name: String,
    /// The number of parameters that are used.
    pub parameters: Option<usize>,
    /// The scores of the model.
    #[serde(flatten)]
    pub scores: TaskScores,
    /// The chosen number of epochs.
    pub epochs: Option<usize>,
    /// Wall-clock seconds of the training, including the choice of the number of epochs.
    pub seconds: Option<f64>,
}

/// The results of a run.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// The kind of task.
    pub task: TaskName,
    /// The source of the data.
    pub data: String,
    /// The numbers of training, validation and test rows; for several splits, of the first one.
    pub rows_of: [usize; 3],
    /// The number of inputs of the network.
    pub inputs: usize,
    /// The names of the targets, or of the classes.
    pub outputs: Vec<String>,
    /// The name of the likelihood.
    pub likelihood: String,
    /// All models, the network first; empty if all splits were run.
    pub rows: Vec<TaskRow>,
    /// The health of the units; `None` if all splits were run.
    pub units: Option<LayerReports>,
    /// The scores over published splits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<SplitScores>,
    /// Notes about the data.
    pub notes: Vec<String>,
}

impl TaskReport {
    /// Adds the rows of a trained network, and a note if its training diverged.
    pub(crate) fn add(&mut self, rows: Vec<TaskRow>, found: Option<Divergence>) {
        if let (Some(row), Some(found)) = (rows.first(), found) {
            self.notes.push(format!("WARNING: {}: {found}", row.name));
        }
        self.rows.extend(rows);
    }
}

pub(crate) fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

impl fmt::Display for TaskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test] = self.rows_of;
        let outputs = match self.task {
            TaskName::Regression => format!("targets {}", self.outputs.join(", ")),
            TaskName::Classification => format!("{} classes", self.outputs.len()),
        };
        writeln!(f, "data      {}", self.data)?;
        writeln!(f, "rows      {train} training, {validation} validation, {test} test")?;
        writeln!(
            f,
            "task      {}, {} inputs, {outputs}, {}",
            self.task.name(),
            self.inputs,
            self.likelihood
        )?;
        for note in &self.notes {
            writeln!(f, "note      {note}")?;
        }
        if let Some(splits) = &self.splits {
            writeln!(f)?;
            return splits.fmt(f);
        }
        writeln!(f)?;
        if let Some(row) = self.rows.first() {
            writeln!(f, "{}", row.scores.head())?;
        }
        for row in &self.rows {
            writeln!(f, "{}", row.line())?;
        }
        if let Some(row) = self.rows.first() {
            write!(f, "{}", row.scores.legend())?;
        }
        match &self.units {
            Some(units) => write!(f, "\n\n{units}"),
            None => Ok(()),
        }
    }
}

impl TaskRow {
    /// The line of the model in the table.
    fn line(&self) -> String {
        let parameters = self.parameters.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let epochs = self.epochs.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let seconds = show(self.seconds, 1);
        let scores = self.scores.cells();
        format!("{:<34} {parameters:>10} {scores} {epochs:>7} {seconds:>8}", self.name)
    }
}

impl TaskScores {
    /// The headings of the table.
    fn head(&self) -> String {
        let names = match self {
            Self::Regression(_) => {
                format!(
                    "{:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
                    "RMSE", "NLL", "CRPS", "cover50", "cover90", "calib.", "units"
                )
            }
            Self::Classification(_) => {
                format!(
                    "{:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
                    "error %", "NLL", "Brier", "ECE w", "ECE m", "info", "risk-cov"
                )
            }
        };
        format!("{:<34} {:>10} {names} {:>7} {:>8}", "test rows", "parameters", "epochs", "seconds")
    }

    fn cells(&self) -> String {
        match self {
            Self::Regression(own) => {
                let RegressionScores { rmse, nll, crps, coverage_50, coverage_90, .. } = own;
                format!(
                    "{rmse:>9.4} {nll:>9.4} {crps:>9.4} {coverage_50:>8.3} {coverage_90:>8.3} \
                     {:>8.3} {:>8.3}",
                    own.calibration_error, own.unit_share
                )
            }
            Self::Classification(own) => format!(
                "{:>9.3} {:>9.4} {:>9.4} {:>8.4} {:>8.4} {:>8.4} {:>8.5}",
                100.0 * own.error,
                own.nll,
                own.brier,
                own.ece_equal_width,
                own.ece_equal_mass,
                own.mutual_information,
                own.risk_coverage_area
            ),
        }
    }

    fn legend(&self) -> &'static str {
        match self {
            Self::Regression(_) => {
                "In the targets' own units. NLL: nats per row and target. cover: share of targets \
                 in the central interval.\ncalib.: mean distance of the distribution of \
                 P(Y <= y) from uniform. units: share of the predictive variance."
            }
            Self::Classification(_) => {
                "NLL: nats per row, of the mean over samples. ECE: expected calibration error over \
                 15 bins of equal width (w) and\nequal mass (m). info: mutual information of \
                 samples and class, nats. risk-cov: area under error against coverage."
            }
        }
    }
}
