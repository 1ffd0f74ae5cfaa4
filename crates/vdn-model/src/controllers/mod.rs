//! Controllers: what keeps the units of a layer alive and inside their constraints while the rest of the model learns.
//!
//! A [`Controller`] sees what a training step showed ([`Observation`]) and running means of it ([`Monitor`]), and moves
//! [`Levers`]: the weights of the layer's local loss
//! ([`LocalObjective`](crate::objective::LocalObjective)), a factor on each unit's mean head,
//! limits of the deviations. A [`LayerControl`] runs any number of them on one layer, each with its
//! own [`Timing`], in the order they were added, and applies what they decided to the parameters; a
//! [`StackControl`] has one for each layer of a stack. All of it is plain `f64` per unit: nothing
//! is allocated once a layer's control is built.
//!
//! Sources: \[ref\] the published research code of *Variational Distributional Neuron* (arXiv 2602.18250), whose numbers
//! the fixtures hold; others are named in their files. Where the reference is inconsistent the default differs and the
//! reference's behaviour is a named switch.

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

/// When and on what a controller acts.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Training steps done.
    pub step: u64,
    /// Running means over the steps so far.
    pub monitor: &'a Monitor,
}

/// What a controller asks of the recording of a step, because it costs something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The KL of each row, from which the share of rows follows in which a unit is alive.
    pub kl_rows: bool,
}

/// One feedback loop on the units of a layer.
pub trait Controller: Debug + Send {
    /// The name, unique in a layer: it prefixes the controller's entries in a [`ControlState`].
    fn name(&self) -> &'static str;

    /// The levers that it sets alone; two controllers of a layer may not share one.
    fn owns(&self) -> &'static [Lever];

    /// Puts its levers where its state says: before the first step, and after [`Controller::restore`].
    fn begin(&mut self, step: u64, levers: &mut Levers);

    /// What it has to be shown of a step beyond the fused statistics. A trainer records it; a step
    /// without it is refused.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Is shown every training step.
    fn observe(&mut self, _seen: &Observation) {}

    /// Moves its levers.
    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers);

    /// Is told that units' mean heads were multiplied by `gain` `[units]`, when their energy was `energy`, so that its
    /// own running means can follow. Not called in compatibility mode.
    fn rescaled(&mut self, _gain: &[f64], _energy: &[f64]) {}

    /// Tells what it did last: names and numbers for the history.
    fn report(&self, _to: &mut dyn FnMut(&'static str, f64)) {}

    /// Writes its state.
    fn save(&self, _state: &mut ControlState) {}

    /// Reads its state.
    ///
    /// # Errors
    /// An entry is missing or has another length.
    fn restore(&mut self, _state: &ControlState) -> Result<(), ModelError> {
        Ok(())
    }
}
