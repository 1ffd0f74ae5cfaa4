//! [`Levers`]: the numbers of a layer that its controllers can move.

use crate::objective::local_objective::LocalObjective;
use crate::units::layer::SigmaLever;

/// A lever that at most one controller of a layer may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lever {
    /// The weight of each unit's KL.
    Beta,
    /// The common factor on all KL weights.
    KlFactor,
    /// The KL below which a latent dimension is free.
    FreeBits,
    /// The capacity target of the layer's KL.
    Capacity,
    /// The constraint on the rate.
    Rate,
    /// The constraint on the KL.
    Kl,
    /// The constraint on the persistence.
    Persistence,
    /// The bounds of the energy bands.
    BandBounds,
    /// The weight of the band penalty.
    BandWeight,
    /// The rows of the mean head.
    Gain,
    /// The parameter `log sigma`.
    Sigma,
    /// The weight of the autoregressive penalty.
    ArWeight,
    /// The deviation of the autoregressive penalty.
    ArScale,
}

impl Lever {
    /// Returns the name used in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Beta => "the weight of each unit's KL",
            Self::KlFactor => "the factor on all KL weights",
            Self::FreeBits => "the free bits",
            Self::Capacity => "the capacity target",
            Self::Rate => "the constraint on the rate",
            Self::Kl => "the constraint on the KL",
            Self::Persistence => "the constraint on the persistence",
            Self::BandBounds => "the bounds of the energy bands",
            Self::BandWeight => "the weight of the band penalty",
            Self::Gain => "the rows of the mean head",
            Self::Sigma => "the parameter log sigma",
            Self::ArWeight => "the weight of the AR penalty",
            Self::ArScale => "the scale of the AR penalty",
        }
    }
}

/// All levers of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Levers {
    /// The layer's own part of the loss.
    pub objective: LocalObjective,
    /// The factors on each unit's rows of the mean head, `[units]`; all 1 unless a controller has
    /// just set them.
    pub gain: Vec<f64>,
    /// The pending change of `log sigma`.
    pub sigma: SigmaLever,
}

impl Levers {
    /// Creates the levers of a layer with this many units, each KL weighted by `beta`.
    #[must_use]
    pub fn new(units: usize, beta: f64) -> Self {
        Self {
            objective: LocalObjective::new(units, beta),
            gain: vec![1.0; units],
            sigma: SigmaLever { range: None, kick: vec![0.0; units] },
        }
    }

    /// Clears the pending changes of parameters.
    pub(super) fn clear_actions(&mut self) {
        self.gain.fill(1.0);
        self.sigma.range = None;
        self.sigma.kick.fill(0.0);
    }
}
