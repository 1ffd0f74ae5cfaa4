//! The terms that a layer of units adds to the loss: weighted KL; constraints on rate, KL and
//! energy; penalties between windows.

pub(crate) mod ar_penalty;
pub(crate) mod constraint;
pub(crate) mod energy_band;
pub(crate) mod local_objective;
pub(crate) mod locals;
#[expect(clippy::module_inception, reason = "the room and its main type have one name")]
pub(crate) mod objective;
pub(crate) mod sequence_measures;
pub(crate) mod window_persistence;

pub use ar_penalty::{ArScale, BandCentre, ar_penalty};
pub use constraint::{Constraint, LIVING};
pub use energy_band::{BandConfig, BandShape, EnergyBand, Hinge, HingeForm, SingleUnit};
pub use local_objective::{
    ArTerm, BandTerm, BetweenWindows, CapacityTerm, EarlierWindow, LocalObjective, LocalTerms,
    UnitMeasures,
};
pub use locals::{
    LayerTerms, LocalObjectives, check_local_objectives, local_objectives, record_local_objective,
    unit_energy,
};
pub use objective::Objective;
pub use sequence_measures::SequenceMeasures;
pub use window_persistence::window_persistence;
