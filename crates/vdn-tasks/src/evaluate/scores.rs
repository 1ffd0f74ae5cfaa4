//! [`TaskScores`]: the scores of a task.

use crate::data::{TargetEncoding, TaskEncoding, TaskRows};
use crate::evaluate::classification::{ClassificationScores, score_mixture_of_classes};
use crate::evaluate::regression::{RegressionScores, score_mixture_of_numbers};
use crate::network::TaskNetwork;
use serde::Serialize;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::evaluate::Evaluator;

/// The scores of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TaskScores {
    /// Scores of numbers.
    Regression(RegressionScores),
    /// Scores of classes.
    Classification(ClassificationScores),
}

impl TaskScores {
    /// Scores rows against their targets.
    ///
    /// # Errors
    /// Returns an error if there are no rows, if rows do not fit the network, or if a prediction or
    /// a score is not finite.
    pub fn of(
        evaluator: &Evaluator<'_, f32, TaskNetwork, TaskRows>,
        encoding: &TaskEncoding,
        rows: &[usize],
        intervention: Intervention,
    ) -> Result<Self, TrainError> {
        Self::of_mixture(&[*evaluator], encoding, rows, intervention)
    }

    /// Scores the mixture of the predictions of several networks on the same data. Every sample has
    /// the same weight.
    ///
    /// # Errors
    /// Returns an error if there are no networks, and the errors of [`TaskScores::of`].
    pub fn of_mixture(
        evaluators: &[Evaluator<'_, f32, TaskNetwork, TaskRows>],
        encoding: &TaskEncoding,
        rows: &[usize],
        intervention: Intervention,
    ) -> Result<Self, TrainError> {
        let members =
            evaluators.split_first().ok_or_else(|| TrainError::config("an ensemble of none"))?;
        Ok(match &encoding.targets {
            TargetEncoding::Numbers(_) => {
                Self::Regression(score_mixture_of_numbers(members, encoding, rows, intervention)?)
            }
            TargetEncoding::Classes { .. } => {
                Self::Classification(score_mixture_of_classes(members, rows, intervention)?)
            }
        })
    }

    /// The scores that are averaged over published splits, in the order of
    /// [`SplitMeans::names`](crate::run::SplitMeans::names). Unknown scores are NaN.
    #[must_use]
    pub fn of_split(&self) -> [f64; 5] {
        match self {
            Self::Regression(own) => [own.nll, own.rmse, own.crps, own.coverage_90, own.unit_share],
            Self::Classification(own) => {
                [own.nll, own.error, own.brier, own.ece_equal_width, own.ece_equal_mass]
            }
        }
    }
}
