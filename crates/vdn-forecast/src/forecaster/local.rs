//! The inputs to the layers' own terms of the loss.

use crate::forecaster::{Batch, Beside, Forecaster};
use vdn_autograd::{Error, Noise, Tape, Var};
use vdn_model::core::{Graph, ModelError};
use vdn_model::objective::{
    BetweenWindows, EarlierWindow, LayerTerms, LocalObjectives, UnitMeasures, ar_penalty,
    window_persistence,
};
use vdn_model::units::{Activities, LayerOutputs, LayerPrior, MAX_DEPTH, StackPass};
use vdn_tensor::Element;

/// Options of [`Forecaster::loss_with`] that change [`Forecaster::loss`].
#[derive(Clone, Copy, Debug)]
pub struct LossOptions<'a> {
    /// Each layer's own term of the loss, which replaces the KL term of weight `beta`.
    pub locals: LocalObjectives<'a>,
    /// The definition of a unit's energy, for the band penalty.
    pub measures: UnitMeasures,
    /// The number of samples, and noise that replaces the first layer's own. `None` for the
    /// defaults.
    pub noise: Option<(usize, Noise)>,
    /// Whether the loss also records the squared error.
    pub want_mse: bool,
}

impl Default for LossOptions<'_> {
    fn default() -> Self {
        Self {
            locals: [None; MAX_DEPTH],
            measures: UnitMeasures::PerDimension,
            noise: None,
            want_mse: false,
        }
    }
}

impl LossOptions<'_> {
    /// The sampling of the units in the forward pass.
    pub(super) fn pass(&self) -> StackPass {
        let first = |(samples, noise)| StackPass::of_first(samples, noise);
        self.noise.map_or_else(StackPass::default, first)
    }
}

impl Forecaster {
    /// Records the terms that compare the units' means for the batch's windows with those for the
    /// preceding windows: the autoregressive penalty, and the persistence (of the first layer).
    ///
    /// Above the first layer, means depend on samples of the layers below. Both passes draw these
    /// samples with the same noise, so that the penalty measures only the change of the window. The
    /// penalty is then also a mean over samples.
    pub(super) fn between_windows<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        layers: &LayerOutputs,
        options: &LossOptions<'_>,
    ) -> Result<[BetweenWindows; MAX_DEPTH], ModelError> {
        let mut between = [BetweenWindows::default(); MAX_DEPTH];
        let local = |index: usize| options.locals[index].filter(|_| layers[index].is_some());
        let term = |index: usize| local(index).and_then(|local| local.autoregression);
        let persists = |index: usize| local(index).is_some_and(|local| local.persistence.is_some());
        for kind in [EarlierWindow::Predecessor, EarlierWindow::Itself] {
            let penalised = |index: usize| term(index).is_some_and(|ar| ar.earlier == kind);
            // Persistence is measured only between two windows that are encoded alike.
            let measured = |index: usize| kind == EarlierWindow::Predecessor && persists(index);
            let wants = |index: &usize| penalised(*index) || measured(*index);
            let Some(last) = (0..MAX_DEPTH).rev().find(wants) else { continue };
            if (0..=last).filter(wants).any(|i| self.config.prior.get(i) != LayerPrior::Standard) {
                let reason = "an autoregressive penalty, or a persistence target, compares means under the standard prior";
                return Err(ModelError::config("prior", reason));
            }
            let means = self.earlier_means(graph, batch, kind, last, options)?;
            for index in (0..=last).filter(wants) {
                let (Some(layer), Some(mu)) = (&layers[index], means[index]) else { continue };
                let (tape, to) = (&mut *graph.tape, &mut between[index]);
                if let Some(ar) = term(index).filter(|ar| ar.earlier == kind) {
                    to.ar = Some(ar_penalty(tape, layer.mu, mu, ar.phi, ar.sigma)?);
                }
                if measured(index) {
                    to.persistence = Some(window_persistence(tape, layer.mu, mu, &layer.units)?);
                }
            }
        }
        Ok(between)
    }

    /// Returns the means of the layers up to number `last` for the windows that precede the
    /// batch's.
    fn earlier_means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        kind: EarlierWindow,
        last: usize,
        options: &LossOptions<'_>,
    ) -> Result<Activities, ModelError> {
        let before = match (kind, batch.earlier) {
            (EarlierWindow::Itself, _) => batch.previous,
            (EarlierWindow::Predecessor, Some(earlier))
                if earlier.len() == batch.previous.len() =>
            {
                earlier
            }
            (EarlierWindow::Predecessor, _) => {
                let reason = "an autoregressive term or a persistence target needs the predecessors of the previous windows";
                return Err(ModelError::Batch(reason.into()));
            }
        };
        let beside = Beside { numbers: batch.beside.earlier_numbers, ..batch.beside };
        let shifted =
            Batch { current: batch.previous, previous: before, beside, ..Batch::default() };
        let rows = self.rows(&shifted)?;
        let [current, previous, _, _] = self.record_inputs(graph, &shifted, rows)?;
        let side = self.record_covariates(graph, &shifted, rows)?;
        let h = self.context(graph, [current, previous], side)?;
        Ok(self.stack.means(graph, h, last, options.pass())?)
    }
}

/// Adds the terms of local objectives other than the KL to a bound that already contains its KL.
pub(super) fn with_constraints<T: Element>(
    tape: &mut Tape<T>,
    bound: Var,
    locals: &LayerTerms,
) -> Result<Var, Error> {
    let mut bound = bound;
    for local in locals.iter().flatten() {
        let others = tape.sub(local.total, local.weighted_kl)?;
        bound = tape.add(bound, others)?;
    }
    Ok(bound)
}
