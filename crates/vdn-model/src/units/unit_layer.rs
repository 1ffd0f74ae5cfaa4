//! [`UnitLayer`]: the view of a layer of units that controllers, diagnostics and a trainer use.
//! [`Layers`]: all layers of a network.
//!
//! A layer of a stack draws its samples side by side; a layer along a sequence draws them one after
//! the other. Both give the same statistics of every unit ([`LayerOutput`](super::LayerOutput)),
//! and all further code works on these. [`UnitLayer`] answers the few questions in which they
//! differ:
//!
//! | | in a stack | along a sequence |
//! |---|---|---|
//! | a row of the statistics | an example, or a sample of one | a step of a sample of an example |
//! | scale | that of the prior | that of the prior given the steps before |
//! | persistence | from window to window | from step to step |
//! | controllers may change mean heads and deviations | yes | no |
//!
//! A layer with your own prior or posterior is a [`UnitLayer::new`]. Its network records the
//! statistics, and there is no mean head to rescale.

use crate::priors::Prior;
use crate::units::layer::{LayerPrior, SigmaMode, VariationalLayer};
use crate::units::stack::{MAX_DEPTH, StackLayer};
use std::ops::Index;

/// A view of a layer of units.
#[derive(Clone, Copy, Debug)]
pub struct UnitLayer<'a> {
    label: &'a str,
    units: usize,
    distributional: usize,
    latent_dims: usize,
    sigma: SigmaMode,
    prior: LayerPrior,
    gaussian: bool,
    variational: Option<&'a VariationalLayer>,
    over_time: Option<Prior>,
}

impl<'a> UnitLayer<'a> {
    /// Creates the view of your own layer: `units` normal units of `latent_dims` dimensions each,
    /// under any prior. The names of its parameters begin with `label`.
    ///
    /// Its network records means and log-variances on the scale of that prior, `(mu - m)/s` and
    /// `ln sigma^2 - ln s^2`, `[rows, units * latent dims]`, and their statistics
    /// ([`Tape::sample_kl`](vdn_autograd::Tape::sample_kl)), as a
    /// [`LayerOutput`](super::LayerOutput). Budgets, KL weights and diagnostics use them.
    /// Controllers of the means (energy bands, homeostat, projections) are refused.
    /// `crates/vdn/tests/all/own_prior.rs` has an example.
    #[must_use]
    pub fn new(label: &'a str, units: usize, latent_dims: usize) -> Self {
        Self {
            label,
            units,
            distributional: units,
            latent_dims,
            sigma: SigmaMode::PerUnitInput,
            prior: LayerPrior::Standard,
            gaussian: true,
            variational: None,
            over_time: None,
        }
    }

    /// Creates the view of a layer of normal units along a sequence under this prior, with one
    /// latent dimension each.
    pub(crate) fn along_sequence(label: &'a str, units: usize, prior: Prior) -> Self {
        Self { over_time: Some(prior), ..Self::new(label, units, 1) }
    }

    /// Returns the name, which prefixes the layer's parameters and appears in reports.
    #[must_use]
    pub fn label(&self) -> &'a str {
        self.label
    }

    /// Returns the number of all units, deterministic units included.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Returns the number of units that are distributions.
    #[must_use]
    pub fn distributional(&self) -> usize {
        self.distributional
    }

    /// Returns the number of latent dimensions of each distributional unit.
    #[must_use]
    pub fn latent_dims(&self) -> usize {
        self.latent_dims
    }

    /// Returns the source of the deviations.
    #[must_use]
    pub fn sigma(&self) -> SigmaMode {
        self.sigma
    }

    /// Returns the prior of the units. Along a sequence it is the standard member, because
    /// statistics are on the scale of the prior given the steps before.
    #[must_use]
    pub fn prior(&self) -> LayerPrior {
        self.prior
    }

    /// Returns whether the units are normal, perhaps after a logarithm.
    #[must_use]
    pub fn is_gaussian(&self) -> bool {
        self.gaussian
    }

    /// Returns the prior over time of a layer along a sequence; `None` in a stack.
    #[must_use]
    pub fn prior_over_time(&self) -> Option<Prior> {
        self.over_time
    }

    /// Returns the distributional units of a layer in a stack; `None` along a sequence, or if it
    /// has none.
    #[must_use]
    pub fn variational(&self) -> Option<&'a VariationalLayer> {
        self.variational
    }

    /// Returns the unit to which an element of one of the layer's tensors belongs, from the
    /// tensor's shape and the element's position. The units of parameters are on their first axis,
    /// the units of activities and statistics on their last. `None` if the tensor has no axis of
    /// units.
    #[must_use]
    pub fn unit_at(&self, shape: &[usize], index: &[usize], parameter: bool) -> Option<usize> {
        let axis = if parameter { 0 } else { shape.len().checked_sub(1)? };
        let (&size, &at) = (shape.get(axis)?, index.get(axis)?);
        match size {
            _ if size == self.distributional * self.latent_dims => Some(at / self.latent_dims),
            _ if size == self.distributional => Some(at),
            _ => None,
        }
    }
}

impl<'a> From<&'a VariationalLayer> for UnitLayer<'a> {
    fn from(layer: &'a VariationalLayer) -> Self {
        let config = layer.config();
        Self {
            label: layer.label(),
            units: config.units,
            distributional: config.units,
            latent_dims: config.latent_dims,
            sigma: config.sigma,
            prior: config.prior,
            gaussian: config.family.is_gaussian(),
            variational: Some(layer),
            over_time: None,
        }
    }
}

impl<'a> From<&'a StackLayer> for UnitLayer<'a> {
    fn from(layer: &'a StackLayer) -> Self {
        let config = &layer.config().layer;
        Self {
            label: layer.label(),
            units: config.units,
            distributional: layer.config().distributional(),
            latent_dims: config.latent_dims,
            sigma: config.sigma,
            prior: config.prior,
            gaussian: config.family.is_gaussian(),
            variational: layer.units(),
            over_time: None,
        }
    }
}

/// The layers of units of a network, at most [`MAX_DEPTH`], from the input up. The list borrows the
/// layers and allocates nothing.
///
/// ```
/// use vdn_model::core::{Builder, Parameters};
/// use vdn_model::priors::Prior;
/// use vdn_model::sequence::{SequenceLayer, SequenceLayerConfig};
/// use vdn_model::units::{LayerConfig, Layers, Stack, StackLayerConfig, UnitLayer};
/// let mut parameters = Parameters::<f32>::new();
/// let mut builder = Builder::new(&mut parameters, 0);
/// let layer = LayerConfig { inputs: 3, units: 4, ..LayerConfig::default() };
/// let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
/// let stack = Stack::new(&mut builder, "features", &[config])?;
/// let config = SequenceLayerConfig::new(4, 2);
/// let states = SequenceLayer::new(&mut builder.scope("states"), Prior::StandardNormal, config)?;
/// // A network has them in one list, whatever their kind.
/// let lower = stack.layers().iter().map(UnitLayer::from);
/// let layers: Layers<'_> = lower.chain([UnitLayer::from(&states)]).collect();
/// let units: Vec<usize> = layers.iter().map(|layer| layer.distributional()).collect();
/// assert_eq!(units, [4, 2]);
/// assert!(layers[1].prior_over_time().is_some());
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'a> {
    layers: [Option<UnitLayer<'a>>; MAX_DEPTH],
    len: usize,
}

impl<'a> Layers<'a> {
    /// Returns the number of layers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no layers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns layer `index`, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<UnitLayer<'a>> {
        *self.layers.get(index)?
    }

    /// Iterates over all layers.
    pub fn iter(&self) -> impl Iterator<Item = UnitLayer<'a>> + use<'a> {
        self.layers.into_iter().flatten()
    }
}

/// # Panics
/// Panics if there is no such layer.
impl<'a> Index<usize> for Layers<'a> {
    type Output = UnitLayer<'a>;

    fn index(&self, index: usize) -> &UnitLayer<'a> {
        self.layers[index].as_ref().expect("a layer of the network")
    }
}

/// # Panics
/// Panics if there are more than [`MAX_DEPTH`] layers.
impl<'a> FromIterator<UnitLayer<'a>> for Layers<'a> {
    fn from_iter<I: IntoIterator<Item = UnitLayer<'a>>>(layers: I) -> Self {
        let mut all = Self::default();
        for layer in layers {
            assert!(all.len < MAX_DEPTH, "a network has at most {MAX_DEPTH} layers of units");
            all.layers[all.len] = Some(layer);
            all.len += 1;
        }
        all
    }
}

impl<'a> From<&'a [StackLayer]> for Layers<'a> {
    fn from(layers: &'a [StackLayer]) -> Self {
        layers.iter().map(UnitLayer::from).collect()
    }
}

impl<'a> From<UnitLayer<'a>> for Layers<'a> {
    fn from(layer: UnitLayer<'a>) -> Self {
        [layer].into_iter().collect()
    }
}
