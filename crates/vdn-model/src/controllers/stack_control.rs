//! [`StackControl`]: the controllers of all layers of units of a network.

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

/// The controllers of all layers of units of a network, in a stack or along a sequence. Each layer
/// has its own bands, weights and budgets.
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

/// Returns the prefix of a layer's entries in a state; empty for the first layer.
fn prefix(layer: usize) -> String {
    if layer == 0 { String::new() } else { format!("layer{}.", layer + 1) }
}

impl StackControl {
    /// Returns the controllers of each layer.
    #[must_use]
    pub fn into_layers(self) -> Vec<Option<LayerControl>> {
        self.layers
    }

    /// Creates the control of a network from the controllers of its layers, the layer that sees the
    /// context first; `None` for a layer without controllers.
    #[must_use]
    pub fn new(layers: Vec<Option<LayerControl>>) -> Self {
        Self { layers }
    }

    /// Returns whether no layer has controllers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(Option::is_none)
    }

    /// Returns the controllers of layer `layer`, counted from 0.
    #[must_use]
    pub fn layer(&self, layer: usize) -> Option<&LayerControl> {
        self.layers.get(layer)?.as_ref()
    }

    /// Returns the controllers of layer `layer`, counted from 0, for changes by hand.
    pub fn layer_mut(&mut self, layer: usize) -> Option<&mut LayerControl> {
        self.layers.get_mut(layer)?.as_mut()
    }

    /// Iterates over the layers that have controllers, with their index from 0.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &LayerControl)> {
        self.layers.iter().enumerate().filter_map(|(i, own)| Some((i, own.as_ref()?)))
    }

    /// Returns the local objectives, which the loss reads, of the layers with controllers.
    #[must_use]
    pub fn objectives(&self) -> LocalObjectives<'_> {
        let controls = self.layers.iter().map(Option::as_ref);
        local_objectives(controls.map(|own| own.map(|control| &control.levers().objective)))
    }

    /// Returns the definition of a unit's energy and KL, which is the same in all layers.
    #[must_use]
    pub fn measures(&self) -> UnitMeasures {
        let mut all = self.iter().map(|(_, control)| control.config().measures);
        all.next().unwrap_or_default()
    }

    /// Returns what the controllers of all layers need recorded in a step.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs { kl_rows: self.iter().any(|(_, control)| control.needs().kl_rows) }
    }

    /// Lets the controllers of a layer observe a recorded step; `adjust` may change the observation
    /// first.
    ///
    /// # Panics
    /// Panics if the outputs belong to another layer.
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

    /// Lets every controller that is due act, layer by layer from the bottom, and applies the
    /// results to the layers' parameters. Calls `rescaled` with every mean-head parameter whose
    /// rows were multiplied, and the factors, if the optimiser's moments are to follow.
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

    /// Returns the state that a checkpoint has to store with the weights. Entries of the first
    /// layer keep their names; those of the others are prefixed by `layer2.`, `layer3.` and so on.
    #[must_use]
    pub fn state(&self) -> ControlState {
        let mut state = ControlState::new();
        for (layer, control) in self.iter() {
            let own = control.state();
            own.iter().for_each(|(name, values)| state.put(prefix(layer) + name, values));
        }
        state
    }

    /// Restores a state of the same controllers.
    ///
    /// # Errors
    /// Fails if the state belongs to other controllers. Above the first layer the message names the
    /// layer.
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
