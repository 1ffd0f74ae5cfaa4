//! Controllers: feedback loops that keep the units of a layer alive and inside their constraints
//! during training.
//!
//! After every training step:
//!
//! 1. The layer's energy, KL, rates and so on are written to an [`Observation`].
//! 2. The [`Monitor`] follows the observation with running means, and every [`Controller`] sees it
//!    ([`Controller::observe`]).
//! 3. Every controller that is due by its [`Timing`] moves its [`Levers`] ([`Controller::act`]).
//! 4. Factors on mean heads and limits of deviations are applied to the parameters. The next loss
//!    reads the other levers ([`LocalObjective`](crate::objective::LocalObjective)).
//!
//! Levers are the weights of the layer's local loss, a factor on each unit's mean head, and limits
//! of the deviations. One lever has one owner, so two controllers never fight over it. A
//! [`LayerControl`] runs any number of controllers on one layer, each with its own [`Timing`], in
//! the order in which they were added. A [`StackControl`] has one `LayerControl` for each layer of
//! a stack. All state is plain `f64` per unit. Nothing is allocated once a layer's control is
//! built.
//!
//! Sources: \[ref\] is the published research code of *Variational Distributional Neuron* (arXiv
//! 2602.18250); the test fixtures hold its numbers. Other sources are named in their files. Where
//! the reference is inconsistent, the default differs, and a named switch restores the reference's
//! behaviour.

mod annealing;
mod ar_scale;
mod ar_share;
mod band_calibration;
mod band_weight;
mod beta_thermostat;
mod capacity;
mod feasibility;
mod free_bits;
mod geco;
mod homeostat;
mod kl_budget;
mod layer_control;
mod levers;
mod monitor;
mod observation;
mod persistence_target;
mod pi;
mod projection;
mod ramp;
mod rate_budget;
mod sigma_guard;
mod stack_control;

pub use crate::core::ControlState;
pub use crate::objective::constraint::{Constraint, ConstraintConfig, Goal, Scope};
pub use crate::objective::energy_band::{
    BandConfig, BandShape, EnergyBand, Hinge, HingeForm, SingleUnit,
};
pub use crate::units::layer::SigmaLever;
pub use annealing::{Annealing, AnnealingShape};
pub use ar_scale::ArScaleControl;
pub use ar_share::{ArShare, ArShareConfig, ArShareRule};
pub use band_calibration::{BandCalibration, BandCalibrationConfig, ScaleRule};
pub use band_weight::{BandWeight, FocusLow};
pub use beta_thermostat::{BetaThermostat, Sees, ThermostatConfig};
pub use capacity::Capacity;
pub use feasibility::{UnitConstraints, least_kl};
pub use free_bits::FreeBits;
pub use geco::{Geco, GecoConfig};
pub use homeostat::{Homeostat, HomeostatConfig, InsideTarget, homeostat_factor, homeostat_target};
pub use kl_budget::KlBudget;
pub use layer_control::{LayerControl, LayerControlConfig, Rescaling, Timing};
pub use levers::{Lever, Levers};
pub use monitor::{Monitor, MonitorConfig};
pub use observation::{LossValues, Observation};
pub use persistence_target::{PersistenceConfig, PersistenceTarget};
pub use pi::{Pi, PiConfig};
pub use projection::{BatchWeights, Projection, ProjectionConfig, projection_factor};
pub use ramp::Ramp;
pub use rate_budget::RateBudget;
pub use sigma_guard::{SigmaGuard, SigmaGuardConfig, SigmaKick};
pub use stack_control::StackControl;

use crate::core::error::ModelError;
use std::fmt::Debug;

/// The step and the running means that a controller acts on.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The number of training steps done.
    pub step: u64,
    /// Running means over the steps so far.
    pub monitor: &'a Monitor,
}

/// What a controller needs recorded in a step, because recording it has a cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The KL of each row. It gives the share of rows in which a unit is alive.
    pub kl_rows: bool,
}

/// A feedback loop on the units of a layer.
pub trait Controller: Debug + Send {
    /// Returns the name, unique in a layer. It prefixes the controller's entries in a
    /// [`ControlState`].
    fn name(&self) -> &'static str;

    /// Returns the levers that this controller alone sets; two controllers of a layer may not share
    /// one.
    fn owns(&self) -> &'static [Lever];

    /// Sets its levers from its state: before the first step, and after [`Controller::restore`].
    fn begin(&mut self, step: u64, levers: &mut Levers);

    /// Returns what the controller needs of a step beyond the fused statistics. A trainer records
    /// it; a step without it is refused.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Observes a training step; called for every step.
    fn observe(&mut self, _seen: &Observation) {}

    /// Moves its levers.
    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers);

    /// Is called after units' mean heads were multiplied by `gain` `[units]`; `energy` is their
    /// energy before. The controller rescales its own running means here. Not called in
    /// compatibility mode.
    fn rescaled(&mut self, _gain: &[f64], _energy: &[f64]) {}

    /// Reports its last act: names and numbers for the history.
    fn report(&self, _to: &mut dyn FnMut(&'static str, f64)) {}

    /// Writes its state to a checkpoint.
    fn save(&self, _state: &mut ControlState) {}

    /// Reads its state from a checkpoint.
    ///
    /// # Errors
    /// Fails if an entry is missing or has another length.
    fn restore(&mut self, _state: &ControlState) -> Result<(), ModelError> {
        Ok(())
    }
}
