//! Diagnostics of a layer's units: internal measures, collapse, and which units are living.
//!
//! | file | concept | needs |
//! |---|---|---|
//! | `measures` | [`Diagnostics`]: KL, rate, mismatch, energy, ... | the fused statistics |
//! | `rows` | [`RowCounts`]: alive rows, deviations at limits | one scan of the rows |
//! | `summary` | [`DiagnosticsSummary`]: means over a layer | the measures |
//! | `drift` | [`drift`]: the KL between successive epochs | the fused statistics |
//! | `mutual_information` | [`mutual_information`] with its error | posteriors on a probe set |
//! | `persistence` | [`Persistence`]: `rho`, rate given the past | posteriors of pairs of windows |
//! | `unit_use` | [`UnitUse`]: downstream use, with errors | interventions on a probe set |
//! | `collapse` | [`CollapseMode`], [`CollapseThresholds`] | the measures above, if available |
//! | `living` | [`Living`]: one judgement per unit, with reasons | collapse modes and rate |
//! | `sequence` | [`SequenceDiagnostics`]: the measures under a prior over time | the messages |
//! | `health_monitor` | [`HealthMonitor`]: the trend from epoch to epoch | one view per epoch |
//!
//! Four words describe the state of a unit. Each has one meaning everywhere:
//!
//! * **living** ([`Living`]): the unit is in no collapse mode, its rate is within its budget, and
//!   fewer than 1 % of its deviations are at a limit.
//! * **informed** (`vdn_train::evaluate::INFORMED`): its rate is at least 0.05 nats, whatever the
//!   budget is.
//! * **active** ([`Diagnostics::active`]): its means vary by more than 0.01 of the prior's variance
//!   (Burda, Grosse and Salakhutdinov 2016).
//! * **alive** ([`RowCounts`]): in one row of a batch, its KL is above 1e-4 nats. The beta
//!   thermostat counts such rows.

mod collapse;
mod drift;
mod effects;
mod health_monitor;
mod living;
mod measures;
mod mutual_information;
mod persistence;
mod rows;
mod sequence;
mod summary;
mod unit_use;

pub use collapse::{CollapseMode, CollapseThresholds, HealthEvidence};
pub use drift::drift;
pub use effects::{Posteriors, UnitEffects};
pub use health_monitor::{EpochView, HealthMonitor, HealthTrend};
pub use living::{Living, Reason, UnitBudget};
pub use measures::{Diagnostics, LayerContext};
pub use mutual_information::{MutualInformation, mutual_information};
pub use persistence::Persistence;
pub use rows::RowCounts;
pub use sequence::SequenceDiagnostics;
pub use summary::DiagnosticsSummary;
pub use unit_use::UnitUse;
