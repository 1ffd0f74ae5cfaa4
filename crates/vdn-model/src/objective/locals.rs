//! The local objectives of all layers of a network, and their recording.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::objective::local_objective::{BetweenWindows, LocalObjective, LocalTerms, UnitMeasures};
use crate::units::layer::LayerOutput;
use crate::units::stack::MAX_DEPTH;
use crate::units::{Layers, UnitLayer};
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;
use vdn_tensor::kernels::Pool;

/// The local objective of each layer, from the layer that sees the context up; `None` if the
/// network itself sets the KL weight of the layer.
pub type LocalObjectives<'a> = [Option<&'a LocalObjective>; MAX_DEPTH];

/// The recorded local objective of each layer.
pub type LayerTerms = [Option<LocalTerms>; MAX_DEPTH];

/// Returns the local objectives of the first layers; the layers after them have none.
///
/// ```
/// use vdn_model::objective::{LocalObjective, local_objectives};
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

/// Refuses two kinds of local objectives: those of layers that do not exist or have no
/// distributional units, and persistence targets from window to window above the first layer.
///
/// # Errors
/// Fails for the first such objective; the message has its layer, counted from 1.
pub fn check_local_objectives<'a>(
    layers: impl Into<Layers<'a>>,
    locals: &LocalObjectives<'_>,
) -> Result<(), ModelError> {
    let layers = layers.into();
    for (index, local) in locals.iter().enumerate() {
        let Some(local) = local else { continue };
        let layer = layers.get(index).filter(|layer| layer.distributional() > 0);
        let in_stack = layer.is_none_or(|layer| layer.prior_over_time().is_none());
        if index > 0 && in_stack && local.persistence.is_some() {
            let reason = format!(
                "a persistence target in layer {}: above the first layer both windows' means would be drawn with the same \
                 noise below, which would pass for persistence",
                index + 1
            );
            return Err(ModelError::config("persistence", reason));
        }
        if layer.is_none() {
            let reason = format!(
                "a local objective for layer {}, which has no unit that is a distribution",
                index + 1
            );
            return Err(ModelError::config("layers", reason));
        }
    }
    Ok(())
}

/// Records the local objective of layer `index` (counted from 0), whose pass returned `output`.
/// `between` holds the values recorded between windows or steps.
///
/// # Errors
/// Fails if the number of KL weights differs from the number of units, or the statistics belong to
/// another layer.
pub fn record_local_objective<T: Element>(
    graph: &mut Graph<'_, T>,
    (index, layer): (usize, UnitLayer<'_>),
    output: &LayerOutput,
    local: &LocalObjective,
    measures: UnitMeasures,
    between: BetweenWindows,
) -> Result<LocalTerms, ModelError> {
    let units = graph.tape.shape(output.units.m2).numel() / layer.latent_dims();
    if local.beta.len() != units {
        let weights = local.beta.len();
        let reason = format!("{weights} KL weights for {units} units of layer {}", index + 1);
        return Err(ModelError::config("beta", reason));
    }
    let energy = unit_energy(graph, layer, output, measures)?;
    Ok(local.record(graph.tape, &output.units, energy, between)?)
}

/// Records the energy of each unit of a layer, `[units]`.
///
/// # Errors
/// Fails if the statistics belong to another layer.
pub fn unit_energy<T: Element>(
    graph: &mut Graph<'_, T>,
    layer: UnitLayer<'_>,
    output: &LayerOutput,
    measures: UnitMeasures,
) -> Result<Var, Error> {
    let k = layer.latent_dims();
    let units = graph.tape.shape(output.units.m2).numel() / k;
    if k == 1 {
        return Ok(output.units.m2);
    }
    let tape = &mut *graph.tape;
    match measures {
        UnitMeasures::PerDimension => {
            let energy = tape.reshape(output.units.m2, [units, k])?;
            tape.mean_axis(energy, 1)
        }
        UnitMeasures::Pooled => {
            let pooling = layer.variational().and_then(|layer| layer.config().pooling);
            let batch = tape.shape(output.mu).rows();
            let mu = tape.reshape(output.mu, [1, batch, units * k])?;
            let mu = tape.pool(mu, k, pooling.unwrap_or(Pool::Mean))?;
            let mu = tape.reshape(mu, [batch, units])?;
            let square = tape.square(mu)?;
            tape.mean_axis(square, 0)
        }
    }
}
