//! The diagnostics of the units of a network: measures, probes and interventions, downstream value,
//! health, and the files and reports about them.

pub(crate) mod diagnose;
mod examine;
pub(crate) mod health_check;
pub(crate) mod history;
pub(crate) mod interventions;
pub(crate) mod layer_reports;
mod layer_table;
pub(crate) mod layer_use;
pub(crate) mod losses;
pub(crate) mod probe;
pub(crate) mod unit_history;
pub(crate) mod unit_monitor;
pub(crate) mod unit_report;

pub use diagnose::{diagnose, unit_costs};
pub use examine::examine;
pub use health_check::{HealthCheck, HealthReport, LayerHealth};
pub use interventions::{Interventions, Outcome, order_under};
pub use layer_reports::{LayerReport, LayerReports};
pub use layer_table::{LayerRow, LayerTable};
pub use layer_use::LayerUse;
pub use probe::{LayerProbe, Probe};
pub use unit_history::{UNIT_MEASURES, UnitHistory, layer_file};
pub use unit_report::{LayerUnits, ProbeReport, UnitReport, write_units};
