//! The scores over published splits, as a table and as JSON.

use crate::config::TaskName;
use crate::run::report::show;
use serde::Serialize;
use std::fmt;

/// A mean over splits and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SplitMean {
    /// The mean.
    pub mean: f64,
    /// The standard error: the deviation over splits divided by the root of their number; `None`
    /// for one split. The parts of different splits overlap, so this is the value of published
    /// tables and not a true error.
    pub se: Option<f64>,
}

impl SplitMean {
    /// The mean and standard error of the values of all splits.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let se = (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Self { mean, se }
    }
}

/// The means of a task's scores over published splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SplitMeans {
    /// The means for regression.
    Regression {
        /// The negative log-likelihood in nats per row and target.
        nll: SplitMean,
        /// The root mean squared error.
        rmse: SplitMean,
        /// The continuous ranked probability score.
        crps: SplitMean,
        /// The share of targets inside the 90 % interval.
        coverage_90: SplitMean,
        /// The units' share of the predictive variance.
        unit_share: SplitMean,
    },
    /// The means for classification.
    Classification {
        /// The negative log-likelihood in nats per row.
        nll: SplitMean,
        /// The share of rows whose most probable class is wrong.
        error: SplitMean,
        /// The Brier score.
        brier: SplitMean,
        /// The expected calibration error over 15 bins of equal width.
        ece_equal_width: SplitMean,
        /// The expected calibration error over 15 bins with equally many rows.
        ece_equal_mass: SplitMean,
    },
}

impl SplitMeans {
    /// Returns the names of a task's scores, in `splits.csv` and in JSON.
    #[must_use]
    pub const fn names(task: TaskName) -> [&'static str; 5] {
        match task {
            TaskName::Regression => ["nll", "rmse", "crps", "coverage_90", "unit_share"],
            TaskName::Classification => {
                ["nll", "error", "brier", "ece_equal_width", "ece_equal_mass"]
            }
        }
    }

    /// Creates the means from values in the order of [`SplitMeans::names`].
    #[must_use]
    pub fn of(task: TaskName, means: [SplitMean; 5]) -> Self {
        let [nll, error, score, first, second] = means;
        match task {
            TaskName::Regression => Self::Regression {
                nll,
                rmse: error,
                crps: score,
                coverage_90: first,
                unit_share: second,
            },
            TaskName::Classification => Self::Classification {
                nll,
                error,
                brier: score,
                ece_equal_width: first,
                ece_equal_mass: second,
            },
        }
    }

    /// Returns the headings of the table's columns.
    fn heads(&self) -> [&'static str; 5] {
        match self {
            Self::Regression { .. } => ["NLL", "RMSE", "CRPS", "cover90", "units"],
            Self::Classification { .. } => ["NLL", "error %", "Brier", "ECE w", "ECE m"],
        }
    }

    /// Returns the cells of a table row: three scores with standard errors, two without.
    fn cells(&self) -> [String; 5] {
        let pair = |m: &SplitMean| format!("{:.4} ± {}", m.mean, show(m.se, 4));
        match self {
            Self::Regression { nll, rmse, crps, coverage_90, unit_share } => {
                let share = |m: &SplitMean| format!("{:.3}", m.mean);
                [pair(nll), pair(rmse), pair(crps), share(coverage_90), share(unit_share)]
            }
            Self::Classification { nll, error, brier, ece_equal_width, ece_equal_mass } => {
                let percent = |x: f64| 100.0 * x;
                let error = SplitMean { mean: percent(error.mean), se: error.se.map(percent) };
                let ece = |m: &SplitMean| format!("{:.4}", m.mean);
                [pair(nll), pair(&error), pair(brier), ece(ece_equal_width), ece(ece_equal_mass)]
            }
        }
    }
}

/// The scores over published splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitScores {
    /// The number of splits.
    pub count: usize,
    /// The scores of the task.
    #[serde(flatten)]
    pub means: SplitMeans,
    /// The share of living units; `None` for a network without units.
    pub living: Option<SplitMean>,
    /// The chosen number of epochs.
    pub epochs: SplitMean,
    /// The scores of the deterministic twin, if it is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<Box<SplitScores>>,
    /// The scores of the ensemble of twins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Box<SplitScores>>,
}

impl fmt::Display for SplitScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!("{} splits, means and standard errors", self.count);
        let [a, b, c, d, e] = self.means.heads();
        write!(f, "{head:<40} {a:>15} {b:>15} {c:>15} {d:>8} {e:>8} {:>8}", "living")?;
        let twin = self.twin.iter().map(|twin| ("deterministic twin", &**twin));
        let ensemble = self.ensemble.iter().map(|all| ("ensemble of twins", &**all));
        let all = [("variational units", self)].into_iter().chain(twin).chain(ensemble);
        for (name, own) in all {
            let [a, b, c, d, e] = own.means.cells();
            let living = show(own.living.map(|m| m.mean), 3);
            write!(f, "\n{name:<40} {a:>15} {b:>15} {c:>15} {d:>8} {e:>8} {living:>8}")?;
        }
        Ok(())
    }
}
