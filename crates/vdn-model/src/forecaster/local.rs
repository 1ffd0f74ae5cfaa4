//! The layers' own parts of the loss: what they need from the forecaster.

use super::{Batch, Forecaster};
use crate::ar_penalty::ar_penalty;
use crate::error::ModelError;
use crate::graph::Graph;
use crate::layer::{LayerOutput, LayerPrior};
use crate::local_objective::{
    BetweenWindows, EarlierWindow, LocalObjective, LocalTerms, UnitMeasures,
};
use crate::stack::{Activities, LayerOutputs, MAX_DEPTH, StackPass};
use crate::window_persistence::window_persistence;
use vdn_autograd::{Error, Noise, Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::kernels::Pool;

/// Each layer's own part of the loss, the layer that sees the encoder first; `None` where the KL has the configuration's
/// weight.
pub type LocalObjectives<'a> = [Option<&'a LocalObjective>; MAX_DEPTH];

/// The local objectives of the first layers; those after them have none.
///
/// ```
/// use vdn_model::{LocalObjective, local_objectives};
/// let own = LocalObjective::new(8, 1e-3);
/// let locals = local_objectives([None, Some(&own)]);
/// assert!(locals[0].is_none() && locals[1] == Some(&own) && locals[2].is_none());
/// ```
#[must_use]
pub fn local_objectives<'a>(
    first: impl IntoIterator<Item = Option<&'a LocalObjective>>,
) -> LocalObjectives<'a> {
    let mut locals = [None; MAX_DEPTH];
    locals.iter_mut().zip(first).for_each(|(to, local)| *to = local);
    locals
}

/// How [`Forecaster::loss_with`] departs from [`Forecaster::loss`].
#[derive(Clone, Copy, Debug)]
pub struct LossOptions<'a, T> {
    /// Each layer's own part of the loss, in the place of the configuration's `beta`.
    pub locals: LocalObjectives<'a>,
    /// What a unit's energy is, for the band penalty.
    pub measures: UnitMeasures,
    /// The predecessors of the previous windows, `[batch, input_len]`: an autoregressive term or a persistence target asks for them.
    pub earlier: Option<&'a [T]>,
    /// So many samples, with this noise in the place of the first layer's own.
    pub noise: Option<(usize, Noise)>,
    /// Whether the squared error is wanted too.
    pub want_mse: bool,
}

impl<T> Default for LossOptions<'_, T> {
    fn default() -> Self {
        Self {
            locals: [None; MAX_DEPTH],
            measures: UnitMeasures::PerDimension,
            earlier: None,
            noise: None,
            want_mse: false,
        }
    }
}

impl<T> LossOptions<'_, T> {
    /// How the units draw.
    pub(super) fn pass(&self) -> StackPass {
        let first = |(samples, noise)| StackPass::of_first(samples, noise);
        self.noise.map_or_else(StackPass::default, first)
    }
}

/// The recorded local objectives of the layers.
pub type LocalTermsOfLayers = [Option<LocalTerms>; MAX_DEPTH];

impl Forecaster {
    /// Refuses local objectives of layers that have nothing to hold: without distributional units, or not there; and persistence
    /// targets above the first layer.
    pub(super) fn check_locals(&self, locals: &LocalObjectives<'_>) -> Result<(), ModelError> {
        for (index, local) in locals.iter().enumerate() {
            let Some(local) = local else { continue };
            if index > 0 && local.persistence.is_some() {
                let reason = format!(
                    "a persistence target in layer {}: above the first layer both windows' means would be drawn with the same \
                     noise below, which would pass for persistence",
                    index + 1
                );
                return Err(ModelError::config("persistence", reason));
            }
            let layer = self.stack.layers().get(index);
            if layer.is_none_or(|layer| layer.units().is_none()) {
                let reason = format!(
                    "a local objective for layer {}, which has no unit that is a distribution",
                    index + 1
                );
                return Err(ModelError::config("depth", reason));
            }
        }
        Ok(())
    }

    /// Records the local objective of a layer.
    pub(super) fn local_terms<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        (index, layer): (usize, &LayerOutput),
        local: &LocalObjective,
        measures: UnitMeasures,
        between: BetweenWindows,
    ) -> Result<LocalTerms, ModelError> {
        let units = graph.tape.shape(layer.units.m2).numel() / self.config.latent_dims;
        if local.beta.len() != units {
            let weights = local.beta.len();
            let reason = format!("{weights} KL weights for {units} units of layer {}", index + 1);
            return Err(ModelError::config("beta", reason));
        }
        let energy = self.energy(graph, layer, measures)?;
        Ok(local.record(graph.tape, &layer.units, energy, between)?)
    }

    /// The energy of each unit of a layer, `[units]`.
    pub(super) fn energy<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        layer: &LayerOutput,
        measures: UnitMeasures,
    ) -> Result<Var, Error> {
        let k = self.config.latent_dims;
        let units = graph.tape.shape(layer.units.m2).numel() / k;
        if k == 1 {
            return Ok(layer.units.m2);
        }
        let tape = &mut *graph.tape;
        match measures {
            UnitMeasures::PerDimension => {
                let energy = tape.reshape(layer.units.m2, [units, k])?;
                tape.mean_axis(energy, 1)
            }
            UnitMeasures::Pooled => {
                let batch = tape.shape(layer.mu).rows();
                let mu = tape.reshape(layer.mu, [1, batch, units * k])?;
                let mu = tape.pool(mu, k, self.config.pooling.unwrap_or(Pool::Mean))?;
                let mu = tape.reshape(mu, [batch, units])?;
                let square = tape.square(mu)?;
                tape.mean_axis(square, 0)
            }
        }
    }

    /// What layers ask for of their units' means for the batch's windows and for those before them: the autoregressive penalty,
    /// and the persistence (of the first layer). Above the first layer means depend on samples below: those are drawn with the
    /// same noise for both, so that the penalty is on what the windows change, and it is a mean over samples too.
    pub(super) fn between_windows<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        layers: &LayerOutputs,
        options: &LossOptions<'_, T>,
    ) -> Result<[BetweenWindows; MAX_DEPTH], ModelError> {
        let mut between = [BetweenWindows::default(); MAX_DEPTH];
        let local = |index: usize| options.locals[index].filter(|_| layers[index].is_some());
        let term = |index: usize| local(index).and_then(|local| local.autoregression);
        let persists = |index: usize| local(index).is_some_and(|local| local.persistence.is_some());
        for kind in [EarlierWindow::Predecessor, EarlierWindow::Itself] {
            let penalised = |index: usize| term(index).is_some_and(|ar| ar.earlier == kind);
            // Of two windows that are encoded alike.
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

    /// The means of the layers up to number `last` for the windows before the batch's.
    fn earlier_means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        kind: EarlierWindow,
        last: usize,
        options: &LossOptions<'_, T>,
    ) -> Result<Activities, ModelError> {
        let before = match (kind, options.earlier) {
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
        let shifted = Batch { current: batch.previous, previous: before, target: &[] };
        let rows = self.rows(&shifted)?;
        let [current, previous, _, _] = self.record_inputs(graph, &shifted, rows)?;
        let h = self.encoder.forward(graph, current, previous)?;
        Ok(self.stack.means(graph, h, last, options.pass())?)
    }
}

/// Adds the terms of local objectives that are no KL to a bound that has its KL already.
pub(super) fn with_constraints<T: Element>(
    tape: &mut Tape<T>,
    bound: Var,
    locals: &LocalTermsOfLayers,
) -> Result<Var, Error> {
    let mut bound = bound;
    for local in locals.iter().flatten() {
        let others = tape.sub(local.total, local.weighted_kl)?;
        bound = tape.add(bound, others)?;
    }
    Ok(bound)
}
