//! [`ControlledLayer`]: what controllers have to know of the layer that they are built for.

use vdn_model::{ForecasterConfig, LayerPrior, Objective, SigmaMode};

/// The distributional units of one layer of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlledLayer {
    /// Which layer, from 0.
    pub(super) layer: usize,
    pub(super) units: usize,
    pub(super) latent_dims: usize,
    /// The weight of the KL that the model starts with.
    pub(super) beta: f64,
    pub(super) sigma: SigmaMode,
    pub(super) objective: Objective,
    pub(super) prior: LayerPrior,
    /// Whether the units are normal, perhaps after a logarithm.
    pub(super) gaussian: bool,
    /// Whether controllers are as the reference has them.
    pub(super) reference: bool,
}

impl ControlledLayer {
    /// Layer number `layer`, from 0; `None` if none of its units is a distribution.
    pub(super) fn new(model: &ForecasterConfig, layer: usize, reference: bool) -> Option<Self> {
        let units = model.stack().get(layer)?.distributional();
        (units > 0).then(|| Self {
            layer,
            units,
            latent_dims: model.latent_dims,
            beta: model.beta_of(layer),
            sigma: model.sigma,
            objective: model.objective,
            prior: model.prior.get(layer),
            gaussian: model.family.get(layer).is_gaussian(),
            reference,
        })
    }

    /// Latent dimensions of all units.
    pub(super) fn dims(&self) -> usize {
        self.units * self.latent_dims
    }
}
