//! [`examine`]: the health and the value of the units of trained weights, as a run reports them.

use crate::config::DiagnosticsConfig;
use crate::data::{Examples, Split};
use crate::error::TrainError;
use crate::evaluate::Evaluator;
use crate::units::diagnose::{diagnose, unit_costs};
use crate::units::health_check::{HealthCheck, HealthReport, LayerHealth};
use crate::units::interventions::Interventions;
use crate::units::layer_reports::{LayerReport, LayerReports};
use crate::units::unit_report::{LayerUnits, UnitReport, write_units};
use std::path::Path;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::HealthTrend;
use vdn_tensor::Element;

/// Measures and judges the units on the validation examples, and measures their value on the test
/// examples. Returns `None` if there are no distributional units.
///
/// `control` has the controllers in their state at these weights. `seen` has the trends of each
/// layer's units over the epochs of training. If there is a `file`, every unit is written to it.
///
/// # Errors
/// Returns an error if the examples do not fit the network, if a prediction is not finite, or if
/// the file cannot be written.
pub fn examine<T, N, D>(
    evaluator: &Evaluator<'_, T, N, D>,
    diagnostics: &DiagnosticsConfig,
    control: &StackControl,
    seen: &[HealthTrend],
    file: Option<&Path>,
) -> Result<Option<LayerReports>, TrainError>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    let depth = evaluator.network.layers().len();
    let check = HealthCheck { diagnostics, control, seen };
    let mut found = check.report(evaluator, evaluator.data.split(Split::Validation))?;
    if found.layers.is_empty() {
        return Ok(None);
    }
    if found.together.is_some() {
        worth_on_test(evaluator, control, &mut found)?;
    }
    if let Some(file) = file {
        let unseen = HealthTrend::default();
        let layers = found.layers.iter().enumerate().map(|(place, own)| LayerUnits {
            layer: (depth > 1).then_some(own.layer),
            diagnostics: &own.diagnostics,
            living: &own.living,
            seen: seen.get(place).unwrap_or(&unseen),
            probe: own.probe.as_ref(),
        });
        write_units(file, &layers.collect::<Vec<_>>())?;
    }
    let report = |own: &LayerHealth| {
        let LayerHealth { layer, diagnostics, living, budget, probe } = own;
        let units = UnitReport::new(diagnostics, living, budget, probe.as_ref(), D::NOUN);
        LayerReport { layer: layer + 1, units }
    };
    let layers = found.layers.iter().map(report).collect();
    Ok(Some(LayerReports { depth, layers, together: found.together, examples: D::NOUN }))
}

/// Measures the value of the units for the predictions by which a run is scored. It runs after
/// training.
fn worth_on_test<T, N, D>(
    evaluator: &Evaluator<'_, T, N, D>,
    control: &StackControl,
    found: &mut HealthReport,
) -> Result<(), TrainError>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    let test = evaluator.data.split(Split::Test);
    let on_test = evaluator.validate(test, control)?;
    let on_test = diagnose(evaluator.network, &on_test, control)?;
    let kl: Vec<f64> = on_test.iter().map(|own| unit_costs(own).iter().sum()).collect();
    let together = evaluator.layer_use(test, None, kl.iter().sum())?;
    found.together = Some(together);
    let single = evaluator.network.layers().len() == 1;
    for (own, kl) in found.layers.iter_mut().zip(kl) {
        let Some(probe) = &mut own.probe else { continue };
        probe.worth = match single {
            true => together,
            false => evaluator.layer_use(test, Some(own.layer), kl)?,
        };
    }
    Ok(())
}
