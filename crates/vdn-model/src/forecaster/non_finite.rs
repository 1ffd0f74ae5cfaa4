//! Where a NaN or an infinity came from, in the words of the model: operation, layer and unit.

use super::Forecaster;
use crate::graph::Bindings;
use crate::parameter::Parameters;
use vdn_autograd::{NonFinite, Tape};
use vdn_tensor::Element;

impl Forecaster {
    /// What [`Tape::first_non_finite`] found on the tape of a pass of this model: the operation, or the parameter, that
    /// the number appears in first, its layer, and the unit where there is one; `what` where it found nothing.
    #[must_use]
    pub fn non_finite_report<T: Element>(
        &self,
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
        match self.unit_of(&found) {
            Some(unit) => format!("{report}, unit {unit}"),
            None => report,
        }
    }

    fn unit_of(&self, found: &NonFinite) -> Option<usize> {
        let parameter = found.operation == "shared";
        let layer = self.stack().variational().find(|layer| found.label == layer.label())?;
        layer.unit_at(found.shape.dims(), &found.index, parameter)
    }

    /// The unit that element number `element` of the parameter `name` with this shape belongs to; `None` for parameters
    /// outside the layer of units.
    ///
    /// ```
    /// use vdn_model::{Forecaster, ForecasterConfig};
    /// let config = ForecasterConfig { hidden: 8, units: 4, ..ForecasterConfig::default() };
    /// let (model, _) = Forecaster::new::<f32>(config, 0)?;
    /// assert_eq!(model.unit_of_parameter("neuron.mu.weight", &[4, 8], 17), Some(2));
    /// assert_eq!(model.unit_of_parameter("head.fc1.weight", &[256, 4], 17), None);
    /// # Ok::<(), vdn_model::ModelError>(())
    /// ```
    #[must_use]
    pub fn unit_of_parameter(&self, name: &str, shape: &[usize], element: usize) -> Option<usize> {
        let owns = |label: &str| name.strip_prefix(label).is_some_and(|rest| rest.starts_with('.'));
        let layer = self.stack().variational().find(|layer| owns(layer.label()))?;
        let first = element / shape.get(1..)?.iter().product::<usize>().max(1);
        layer.unit_at(shape, &[first], true)
    }
}
