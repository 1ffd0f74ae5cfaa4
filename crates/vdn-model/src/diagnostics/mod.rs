//! Diagnostics of a layer's units: internal measures, collapse, and which units are living.
//!
//! | file | concept | needs |
//! |---|---|---|
//! | `measures` | [`Diagnostics`]: KL, rate, mismatch, energy, ... of every unit | the fused statistics |
//! | `rows` | [`RowCounts`]: rows in which a unit is alive, deviations at their limits | one glance at each row |
//! | `summary` | [`DiagnosticsSummary`]: a layer in a dozen numbers | |
//! | `drift` | [`drift`]: the KL between successive epochs | the fused statistics |
//! | `mutual_information` | [`mutual_information`] by quadrature, with its error | posteriors on a probe set |
//! | `persistence` | [`Persistence`]: `rho`, and the rate that the past leaves | posteriors of pairs of windows |
//! | `unit_use` | [`UnitUse`]: what is read downstream, with standard errors | interventions on a probe set |
//! | `collapse` | [`CollapseMode`], [`CollapseThresholds`] | all of these, as far as they are there |
//! | `living` | [`Living`]: one predicate with reasons | |
//! | `sequence` | [`SequenceDiagnostics`]: all of it along a sequence, under a prior over time | its messages |
//! | `health_monitor` | [`HealthMonitor`]: from epoch to epoch | |
//!
//! Four words say how a unit does. Each has one meaning everywhere:
//!
//! | word | holds when | defined in |
//! |---|---|---|
//! | living | no mode of collapse holds, the rate is in the unit's budget, and fewer than 1 % of its deviations are at a limit | [`Living`] |
//! | informed | the rate is at least 0.05 nats, whatever the budget is | `vdn_train::evaluate::INFORMED` |
//! | active | the means vary by more than 0.01 of the prior's variance (Burda, Grosse and Salakhutdinov 2016) | [`Diagnostics::active`] |
//! | alive | in a row of a batch: the KL is above 1e-4 nats; what the beta thermostat counts | [`RowCounts`] |

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
