//! [`Task`]: the parts of training that depend on the kind of network: selection scores, and a
//! probe of its units.

use crate::config::{DiagnosticsConfig, Selection};
use crate::data::{Examples, Split};
use crate::error::TrainError;
use crate::evaluate::{Evaluator, Validation};
use crate::network::Network;
use crate::units::{Interventions, Probe};
use vdn_model::diagnostics::Diagnostics;
use vdn_model::units::Intervention;
use vdn_tensor::Element;

/// The parts of training that depend on the kind of network.
pub trait Task<T, N, D>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// A selection score of a validated epoch that the validation itself does not have; smaller is
    /// better. The default, `None`, means that the task does not have the score.
    ///
    /// # Errors
    /// Returns an error if a prediction is not finite.
    fn selection_score(
        &self,
        _by: Selection,
        _evaluator: &Evaluator<'_, T, N, D>,
        _validation: &Validation,
    ) -> Result<Option<f64>, TrainError> {
        Ok(None)
    }

    /// A probe of the units on validation examples. The default, `None`, means that the task has no
    /// probe.
    ///
    /// # Errors
    /// Returns an error if a prediction is not finite.
    fn probe(
        &self,
        _evaluator: &Evaluator<'_, T, N, D>,
        _config: &DiagnosticsConfig,
        _layers: &[Diagnostics],
    ) -> Result<Option<Probe>, TrainError> {
        Ok(None)
    }
}

/// The task of a network that offers only its loss. Epochs are selected by its score (`nll`), its
/// squared error (`mse`), the constraint-aware `score`, or the `last` is kept. Units are judged by
/// their internal measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByScore;

impl<T, N, D> Task<T, N, D> for ByScore
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
}

/// The task of a network with predictive distributions and [`Interventions`]. Epochs can also be
/// selected by the CRPS and the evidence lower bound, and units are probed on a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByOutcomes;

impl<T, N, D> Task<T, N, D> for ByOutcomes
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    fn selection_score(
        &self,
        by: Selection,
        evaluator: &Evaluator<'_, T, N, D>,
        validation: &Validation,
    ) -> Result<Option<f64>, TrainError> {
        let examples = evaluator.data.split(Split::Validation);
        Ok(match by {
            Selection::Crps => Some(evaluator.mean_crps(examples)?),
            Selection::Elbo => {
                let likelihood = |outcome: &crate::units::Outcome| outcome.likelihood;
                let mean = evaluator.mean_outcome(examples, Intervention::None, likelihood)?;
                Some(validation.kl() - mean)
            }
            _ => None,
        })
    }

    fn probe(
        &self,
        evaluator: &Evaluator<'_, T, N, D>,
        config: &DiagnosticsConfig,
        layers: &[Diagnostics],
    ) -> Result<Option<Probe>, TrainError> {
        evaluator.probe(evaluator.data.split(Split::Validation), config, layers)
    }
}
