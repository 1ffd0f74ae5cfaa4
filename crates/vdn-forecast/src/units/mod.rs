//! What becomes of the units of a forecaster: diagnostics, probes, worth, verdicts.

pub(crate) mod diagnose;
pub(crate) mod layer_reports;
pub(crate) mod layer_use;
pub(crate) mod layers;
pub(crate) mod probe;
pub(crate) mod stack_watch;
pub(crate) mod unit_report;
pub(crate) mod verdict;

pub use diagnose::{diagnose, layer_statistics, logvar_limits};
pub use layer_reports::{LayerReport, LayerReports};
pub use layer_use::{LayerUse, layer_use};
pub use layers::{LayerRow, LayerTable, layer_table};
pub use probe::{LayerProbe, Probe, probe, probe_on};
pub use unit_report::{LayerUnits, ProbeReport, UnitReport, write_units};
pub use verdict::{Judge, LayerVerdict, Verdicts};
