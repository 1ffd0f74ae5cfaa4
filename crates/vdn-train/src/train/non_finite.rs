//! The place where training met a number that is not finite.

use crate::error::TrainError;
use crate::network::Network;
use vdn_model::core::{ModelError, Parameters};
use vdn_model::units::unit_of_parameter;
use vdn_tensor::Element;

/// Adds to an error that the number was not finite in validation.
pub(super) fn in_validation(error: TrainError) -> TrainError {
    match error {
        TrainError::Model(ModelError::NonFinite(report)) => {
            ModelError::NonFinite(format!("validation: {report}")).into()
        }
        other => other,
    }
}

/// Adds the step and the unit to an error about a number that is not finite.
pub(super) fn at_step<T: Element, N: Network<T>>(
    network: &N,
    parameters: &Parameters<T>,
    step: u64,
    error: TrainError,
) -> TrainError {
    let report = match error {
        TrainError::Model(ModelError::NonFinite(report)) => report,
        TrainError::NonFiniteGradient { ref parameter, element }
        | TrainError::GradientOverflow { ref parameter, element } => {
            let unit = parameters.find(parameter).and_then(|id| {
                let shape = parameters.get(id).tensor().shape();
                unit_of_parameter(network.layers(), parameter, shape.dims(), element)
            });
            unit.map_or_else(|| error.to_string(), |unit| format!("{error}, unit {unit}"))
        }
        other => return other,
    };
    TrainError::NonFinite { step, report }
}
