//! [`ControlledLayer`]: the properties of a layer that its controllers depend on.

use vdn_model::objective::Objective;
use vdn_model::priors::Prior;
use vdn_model::units::{LayerPrior, SigmaMode, StackLayerConfig, UnitLayer};

/// The distributional units of one layer of a network, as its controllers are built for them. The
/// controllers may be built before the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlledLayer {
    /// The number of the layer, from 0.
    pub(super) layer: usize,
    pub(super) units: usize,
    pub(super) latent_dims: usize,
    /// The weight of the KL at the start of training.
    pub(super) beta: f64,
    pub(super) sigma: SigmaMode,
    pub(super) objective: Objective,
    pub(super) prior: LayerPrior,
    /// Whether the units are normal or log-normal.
    pub(super) gaussian: bool,
    /// Whether the layer has a mean head that controllers may change. Layers of a stack have one.
    pub(super) has_means: bool,
    /// The prior over time of a layer along a sequence.
    pub(super) over_time: Option<Prior>,
    /// Whether controllers behave as in the reference.
    pub(super) reference: bool,
}

impl ControlledLayer {
    /// A layer whose KL has the weight `beta` under `objective`; `None` if it has no distributional
    /// units.
    #[must_use]
    pub fn new(config: &StackLayerConfig, objective: Objective, beta: f64) -> Option<Self> {
        let (units, layer) = (config.distributional(), &config.layer);
        (units > 0).then(|| Self {
            layer: 0,
            units,
            latent_dims: layer.latent_dims,
            beta,
            sigma: layer.sigma,
            objective,
            prior: layer.prior,
            gaussian: layer.family.is_gaussian(),
            has_means: true,
            over_time: None,
            reference: false,
        })
    }

    /// A layer of a built network: in a stack, along a sequence, or of another kind. `None` if it
    /// has no distributional units.
    #[must_use]
    pub fn of(layer: UnitLayer<'_>, objective: Objective, beta: f64) -> Option<Self> {
        let units = layer.distributional();
        (units > 0).then(|| Self {
            layer: 0,
            units,
            latent_dims: layer.latent_dims(),
            beta,
            sigma: layer.sigma(),
            objective,
            prior: layer.prior(),
            gaussian: layer.is_gaussian(),
            has_means: layer.variational().is_some(),
            over_time: layer.prior_over_time(),
            reference: false,
        })
    }

    /// The number of latent dimensions of all units.
    pub(super) fn dims(&self) -> usize {
        self.units * self.latent_dims
    }
}
