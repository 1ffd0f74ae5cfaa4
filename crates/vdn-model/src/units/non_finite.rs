//! The origin of a NaN or an infinity in the terms of a network: operation, layer and unit.

use crate::core::graph::Bindings;
use crate::core::parameter::Parameters;
use crate::units::unit_layer::{Layers, UnitLayer};
use vdn_autograd::{NonFinite, Tape};
use vdn_tensor::Element;

/// Describes the result of [`Tape::first_non_finite`] on the tape of a pass: the operation or the
/// parameter in which the number appears first, its layer and, if possible, its unit. `what` names
/// the result of the pass; it is the subject of the sentence if nothing was found.
#[must_use]
pub fn non_finite_report<'a, T: Element>(
    layers: impl Into<Layers<'a>>,
    tape: &Tape<T>,
    parameters: &Parameters<T>,
    bindings: &Bindings,
    what: &str,
) -> String {
    let Some(found) = tape.first_non_finite() else { return format!("{what} is not finite") };
    let of = |i: &usize| bindings.get(*i) == Some(found.var);
    let report = match (0..parameters.len()).find(of).and_then(|i| parameters.iter().nth(i)) {
        Some(parameter) => format!("parameter {}, {found}", parameter.name()),
        None => found.to_string(),
    };
    match unit_of(&layers.into(), &found) {
        Some(unit) => format!("{report}, unit {unit}"),
        None => report,
    }
}

fn unit_of(layers: &Layers<'_>, found: &NonFinite) -> Option<usize> {
    let parameter = found.operation == "shared";
    let with_units = |layer: &UnitLayer<'_>| layer.distributional() > 0;
    let layer = layers.iter().filter(with_units).find(|layer| found.label == layer.label())?;
    layer.unit_at(found.shape.dims(), &found.index, parameter)
}

/// Returns the unit to which element `element` of the parameter `name` with this shape belongs;
/// `None` for parameters outside the layers of units.
///
/// ```
/// use vdn_model::core::{Builder, Parameters};
/// use vdn_model::units::{LayerConfig, Stack, StackLayerConfig};
/// let layer = LayerConfig { inputs: 8, units: 4, ..LayerConfig::default() };
/// let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
/// let mut parameters = Parameters::<f32>::new();
/// let stack = Stack::new(&mut Builder::new(&mut parameters, 0), "neuron", &[config])?;
/// let unit_of = |name, shape: [usize; 2]| {
///     vdn_model::units::unit_of_parameter(stack.layers(), name, &shape, 17)
/// };
/// assert_eq!(unit_of("neuron.mu.weight", [4, 8]), Some(2));
/// assert_eq!(unit_of("head.fc1.weight", [256, 4]), None);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[must_use]
pub fn unit_of_parameter<'a>(
    layers: impl Into<Layers<'a>>,
    name: &str,
    shape: &[usize],
    element: usize,
) -> Option<usize> {
    let owns = |label: &str| name.strip_prefix(label).is_some_and(|rest| rest.starts_with('.'));
    let owner = |layer: &UnitLayer<'_>| layer.distributional() > 0 && owns(layer.label());
    let layer = layers.into().iter().find(owner)?;
    let first = element / shape.get(1..)?.iter().product::<usize>().max(1);
    layer.unit_at(shape, &[first], true)
}
