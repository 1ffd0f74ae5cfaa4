//! The layer's own part of the loss: what it needs from the forecaster.

use super::{Batch, Forecaster};
use crate::ar_penalty::ar_penalty;
use crate::error::ModelError;
use crate::graph::Graph;
use crate::layer::{LayerOutput, LayerPrior};
use crate::local_objective::{EarlierWindow, LocalObjective, LocalTerms, UnitMeasures};
use crate::stack::MAX_DEPTH;
use vdn_autograd::{Error, Noise, Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::kernels::Pool;

/// How [`Forecaster::loss_with`] departs from [`Forecaster::loss`].
#[derive(Clone, Copy, Debug)]
pub struct LossOptions<'a, T> {
    /// The first layer's own part of the loss, in the place of the configuration's `beta`.
    pub local: Option<&'a LocalObjective>,
    /// Those of the layers above it, from the second up: one for each, or none at all.
    pub upper: &'a [LocalObjective],
    /// What a unit's energy is, for the band penalty.
    pub measures: UnitMeasures,
    /// The predecessors of the previous windows, `[batch, input_len]`: an autoregressive term asks for them.
    pub earlier: Option<&'a [T]>,
    /// So many samples with this noise, in the place of the layer's own.
    pub noise: Option<(usize, Noise)>,
    /// Whether the squared error is wanted too.
    pub want_mse: bool,
}

impl<T> Default for LossOptions<'_, T> {
    fn default() -> Self {
        Self {
            local: None,
            upper: &[],
            measures: UnitMeasures::PerDimension,
            earlier: None,
            noise: None,
            want_mse: false,
        }
    }
}

/// The recorded local objectives of the layers.
pub type LocalTermsOfLayers = [Option<LocalTerms>; MAX_DEPTH];

impl Forecaster {
    /// The local objective of layer number `layer`, if there is one.
    ///
    /// # Errors
    /// Objectives for another number of layers; an autoregressive penalty above the first layer.
    pub(super) fn local_objective<'a, T>(
        &self,
        layer: usize,
        options: &LossOptions<'a, T>,
    ) -> Result<Option<&'a LocalObjective>, ModelError> {
        let upper = options.upper;
        if !upper.is_empty() && upper.len() + 1 != self.config.depth {
            let reason = format!("{} local objectives above the first layer", upper.len());
            return Err(ModelError::config("depth", reason));
        }
        if upper.iter().any(|local| local.autoregression.is_some()) {
            let reason = "an autoregressive penalty is for the first layer of a stack";
            return Err(ModelError::config("autoregression", reason));
        }
        Ok(if layer == 0 { options.local } else { upper.get(layer - 1) })
    }

    /// Records the local objective of a layer.
    pub(super) fn local_terms<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        layer: &LayerOutput,
        local: &LocalObjective,
        measures: UnitMeasures,
        ar: Option<Var>,
    ) -> Result<LocalTerms, ModelError> {
        let units = graph.tape.shape(layer.units.m2).numel() / self.config.latent_dims;
        if local.beta.len() != units {
            let reason = format!("{} KL weights for {units} units", local.beta.len());
            return Err(ModelError::config("beta", reason));
        }
        let energy = self.energy(graph, layer, measures)?;
        Ok(local.record(graph.tape, &layer.units, energy, ar)?)
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

    /// The autoregressive penalty between the units' means for the batch's windows and for those before them.
    pub(super) fn autoregression<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        layer: &LayerOutput,
        local: &LocalObjective,
        earlier: Option<&[T]>,
    ) -> Result<Option<Var>, ModelError> {
        let Some(ar) = local.autoregression else { return Ok(None) };
        if self.config.prior != LayerPrior::Standard {
            let reason = "an autoregressive penalty compares means under the standard prior";
            return Err(ModelError::config("autoregression", reason));
        }
        let before = match (ar.earlier, earlier) {
            (EarlierWindow::Itself, _) => batch.previous,
            (EarlierWindow::Predecessor, Some(earlier))
                if earlier.len() == batch.previous.len() =>
            {
                earlier
            }
            (EarlierWindow::Predecessor, _) => {
                let reason =
                    "an autoregressive term needs the predecessors of the previous windows";
                return Err(ModelError::Batch(reason.into()));
            }
        };
        let shifted = Batch { current: batch.previous, previous: before, target: &[] };
        let rows = self.rows(&shifted)?;
        let [current, previous, _, _] = self.record_inputs(graph, &shifted, rows)?;
        let h = self.encoder.forward(graph, current, previous)?;
        let mu = self.layer().means(graph, h)?;
        Ok(Some(ar_penalty(graph.tape, layer.mu, mu, ar.phi, ar.sigma)?))
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
