//! The mixture of the predictions of several networks.

use crate::data::TaskRows;
use crate::network::{Prediction, TaskNetwork};
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::Evaluator;

/// A network, and other networks whose predictions are mixed with its own.
pub(crate) type Members<'a, 'e> = (
    &'a Evaluator<'e, f32, TaskNetwork, TaskRows>,
    &'a [Evaluator<'e, f32, TaskNetwork, TaskRows>],
);

/// A prediction of the rows `chunk`, mixed with the predictions of other networks.
pub(crate) fn with_others(
    mut prediction: Prediction,
    others: &[Evaluator<'_, f32, TaskNetwork, TaskRows>],
    chunk: &[usize],
) -> Result<Prediction, TrainError> {
    for other in others {
        let mut own = None;
        other.for_each_pass(chunk, Request::INPUTS, |_, graph, batch, _| {
            own = Some(other.network.predict(graph, batch, Intervention::None)?);
            Ok(())
        })?;
        if let Some(own) = own {
            prediction = prediction.joined(own)?;
        }
    }
    Ok(prediction)
}
