//! [`StackControl`]: the controllers of every layer of units of a network.

use crate::controllers::Needs;
use crate::controllers::layer_control::LayerControl;
use crate::controllers::observation::{LossValues, Observation};
use crate::core::error::ModelError;
use crate::core::parameter::{ParameterId, Parameters};
use crate::core::state::ControlState;
use crate::objective::local_objective::UnitMeasures;
use crate::objective::locals::{LocalObjectives, local_objectives};
use crate::units::Layers;
use crate::units::layer::LayerOutput;
use vdn_autograd::Tape;
use vdn_tensor::Element;

/// The controllers of every layer of units of a network, in a stack or along a sequence, each layer
/// with its own bands, weights and budgets.
///
/// ```
/// use vdn_model::controllers::{LayerControl, LayerControlConfig, StackControl};
/// let of = |units| LayerControl::new(units, 1, LayerControlConfig::default());
/// // The second of three layers has nothing to hold.
/// let control = StackControl::new(vec![Some(of(8)), None, Some(of(4))]);
/// assert!(control.layer(1).is_none() && !control.is_empty());
/// assert_eq!(control.objectives()[2].map(|own| own.beta.len()), Some(4));
/// // The state of the first layer has the names that it has alone.
/// let state = control.state();
/// assert_eq!(state.number("step")?, 0.0);
/// assert_eq!(state.number("layer3.step")?, 0.0);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Debug, Default)]
pub struct StackControl {
    layers: Vec<Option<LayerControl>>,
}

/// What the entries of a layer in a state begin with; nothing for the first.
fn prefix(layer: usize) -> String {
    if layer == 0 { String::new() } else { format!("layer{}.", layer + 1) }
}

impl StackControl {
    /// The controllers of each layer.
    #[must_use]
    pub fn into_layers(self) -> Vec<Option<LayerControl>> {
        self.layers
    }

    /// Of the layers of a network, the one that sees the context first; `None` for a layer without
    /// controllers.
    #[must_use]
    pub fn new(layers: Vec<Option<LayerControl>>) -> Self {
        Self { layers }
    }

    /// Whether no layer has any controllers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(Option::is_none)
    }

    /// The controllers of layer number `layer`, from 0.
    #[must_use]
    pub fn layer(&self, layer: usize) -> Option<&LayerControl> {
        self.layers.get(layer)?.as_ref()
    }

    /// The controllers of layer number `layer`, from 0, to be set by hand.
    pub fn layer_mut(&mut self, layer: usize) -> Option<&mut LayerControl> {
        self.layers.get_mut(layer)?.as_mut()
    }

    /// The layers that have controllers, with their number, from 0.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &LayerControl)> {
        self.layers.iter().enumerate().filter_map(|(i, own)| Some((i, own.as_ref()?)))
    }

    /// What the loss reads: the local objective of each layer with controllers.
    #[must_use]
    pub fn objectives(&self) -> LocalObjectives<'_> {
        let controls = self.layers.iter().map(Option::as_ref);
        local_objectives(controls.map(|own| own.map(|control| &control.levers().objective)))
    }

    /// What a unit's energy and KL are, the same in all layers.
    #[must_use]
    pub fn measures(&self) -> UnitMeasures {
        let mut all = self.iter().map(|(_, control)| control.config().measures);
        all.next().unwrap_or_default()
    }

    /// What the controllers of all layers ask of the recording of a step.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs { kl_rows: self.iter().any(|(_, control)| control.needs().kl_rows) }
    }

    /// Shows the controllers of a layer a recorded step; `adjust` may change what it showed first.
    ///
    /// # Panics
    /// The outputs are those of another layer.
    pub fn observe<'a, T: Element>(
        &mut self,
        tape: &Tape<T>,
        layers: impl Into<Layers<'a>>,
        (layer, output): (usize, &LayerOutput),
        losses: LossValues,
        adjust: impl FnOnce(&mut Observation),
    ) {
        let units = layers.into().get(layer).filter(|layer| layer.distributional() > 0);
        if let (Some(control), Some(units)) = (self.layer_mut(layer), units) {
            control.observe_adjusted(tape, units, output, losses, adjust);
        }
    }

    /// Lets every controller act whose time has come, layer by layer from below, and applies what they decided to the
    /// layers' parameters. `rescaled` is told of every parameter of a mean head whose rows were multiplied, and by what, where
    /// the optimiser's moments are to follow.
    pub fn act<'a, T: Element>(
        &mut self,
        layers: impl Into<Layers<'a>>,
        parameters: &mut Parameters<T>,
        mut rescaled: impl FnMut(ParameterId, &[f64]),
    ) {
        for (control, layer) in self.layers.iter_mut().zip(layers.into().iter()) {
            if layer.distributional() > 0
                && let Some(control) = control
                && let Some(gain) = control.act(layer, parameters)
                && let Some(units) = layer.variational()
            {
                units.mean_parameters().into_iter().for_each(|id| rescaled(id, gain));
            }
        }
    }

    /// Everything that has to be restored with the weights: the entries of the first layer under their own names, those of
    /// the others after `layer2.`, `layer3.` and so on.
    #[must_use]
    pub fn state(&self) -> ControlState {
        let mut state = ControlState::new();
        for (layer, control) in self.iter() {
            let own = control.state();
            own.iter().for_each(|(name, values)| state.put(prefix(layer) + name, values));
        }
        state
    }

    /// Goes back to a state of the same controllers.
    ///
    /// # Errors
    /// The state is that of other controllers; above the first layer the message names the layer.
    pub fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        for (layer, control) in self.layers.iter_mut().enumerate() {
            let Some(control) = control else { continue };
            control.restore(&state.within(&prefix(layer))).map_err(|error| match error {
                ModelError::Control(reason) if layer > 0 => {
                    ModelError::Control(format!("layer {}: {reason}", layer + 1))
                }
                other => other,
            })?;
        }
        Ok(())
    }
}
