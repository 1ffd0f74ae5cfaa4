//! [`ControlledLayer`]: what controllers have to know of the layer that they are built for.

use vdn_model::objective::Objective;
use vdn_model::priors::Prior;
use vdn_model::units::{LayerPrior, SigmaMode, StackLayerConfig, UnitLayer};

/// The distributional units of one layer of a network, as controllers see them when they are built,
/// which may be before the network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlledLayer {
    /// Which layer, from 0.
    pub(super) layer: usize,
    pub(super) units: usize,
    pub(super) latent_dims: usize,
    /// The weight of the KL that the network starts with.
    pub(super) beta: f64,
    pub(super) sigma: SigmaMode,
    pub(super) objective: Objective,
    pub(super) prior: LayerPrior,
    /// Whether the units are normal, perhaps after a logarithm.
    pub(super) gaussian: bool,
    /// Whether it has a mean head that controllers may change: in a stack.
    pub(super) has_means: bool,
    /// The prior over time, along a sequence.
    pub(super) over_time: Option<Prior>,
    /// Whether controllers are as the reference has them.
    pub(super) reference: bool,
}

impl ControlledLayer {
    /// A layer whose KL has the weight `beta` under `objective`; `None` if none of its units is a
    /// distribution.
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

    /// A layer of a network that is built: in a stack, along a sequence, or one of its own.
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

    /// Latent dimensions of all units.
    pub(super) fn dims(&self) -> usize {
        self.units * self.latent_dims
    }
}
