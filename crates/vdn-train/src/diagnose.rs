//! From a validation pass to the diagnostics of the layer of units.

use crate::config::DiagnosticsConfig;
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::history::EpochUnits;
use crate::probe::Probe;
use crate::unit_history::UnitHistory;
use crate::unit_report::per_unit;
use std::path::Path;
use vdn_model::controllers::LayerControl;
use vdn_model::diagnostics::{
    CollapseThresholds, Diagnostics, EpochView, LayerContext, Seen, Watch,
};
use vdn_model::{Forecaster, Objective, SigmaMode};
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};

/// The limits of the layer's log-variances: its hard ones, or those of a guard on the parameter `log sigma`.
#[must_use]
pub fn logvar_limits(model: &Forecaster, control: Option<&LayerControl>) -> [f64; 2] {
    let guarded = control.filter(|_| model.config().sigma != SigmaMode::PerUnitInput);
    let limit = |name, hard: f64| {
        let guard = guarded.and_then(|control| control.reported("sigma_guard", name));
        guard.map_or(hard, |deviation| 2.0 * deviation.ln())
    };
    [limit("floor", LOGVAR_MIN).max(LOGVAR_MIN), limit("ceiling", LOGVAR_MAX).min(LOGVAR_MAX)]
}

/// The internal measures of every unit, from the statistics of a validation pass; `None` for a deterministic twin,
/// and for a stack, which [`layer_table`](crate::layer_table) is for.
///
/// # Errors
/// Statistics of another model.
pub fn diagnose(
    model: &Forecaster,
    evaluation: &Evaluation,
    control: Option<&LayerControl>,
) -> Result<Option<Diagnostics>, TrainError> {
    let (Some(statistics), Some(rows)) = (&evaluation.units, &evaluation.rows) else {
        return Ok(None);
    };
    let config = model.config();
    let beta = match (config.objective, control) {
        (Objective::Vib, Some(control)) => {
            let objective = &control.levers().objective;
            objective.beta.iter().map(|beta| objective.kl_factor * beta).collect()
        }
        (Objective::Vib, None) => vec![config.beta; config.units],
        (Objective::Elbo | Objective::Iwae, _) => {
            vec![1.0 / config.horizon as f64; config.units]
        }
    };
    let band = control.and_then(|control| control.levers().objective.band.as_ref());
    let context = LayerContext {
        label: model.layer().label(),
        latent_dims: config.latent_dims,
        beta: &beta,
        band: band.map(|band| &band.bounds),
        prior_variance: &[],
    };
    Ok(Some(Diagnostics::new(statistics, rows, &context)?))
}

/// The KL of each unit, nats per window.
pub(crate) fn unit_costs(diagnostics: &Diagnostics) -> Vec<f64> {
    diagnostics.kl.iter().map(|kl| kl * diagnostics.latent_dims as f64).collect()
}

/// The rate that each unit's past leaves, nats per latent dimension, where an autoregressive term acts on the layer: only
/// there can the past capture a unit.
pub(crate) fn rate_given_past(
    model: &Forecaster,
    control: Option<&LayerControl>,
    probe: Option<&Probe>,
) -> Option<Vec<f64>> {
    let term = control?.levers().objective.autoregression?;
    let left = probe?.rate_given_past.as_deref()?;
    (term.weight * term.ramp > 0.0).then(|| per_unit(left, model.config().latent_dims))
}

/// Watches a model's layer of units from epoch to epoch.
#[derive(Debug)]
pub(crate) struct LayerWatch {
    watch: Watch,
    history: UnitHistory,
}

impl LayerWatch {
    pub(crate) fn new(
        model: &Forecaster,
        config: &DiagnosticsConfig,
        control: Option<&LayerControl>,
    ) -> Self {
        let watch = Watch::new(CollapseThresholds::default(), config.budget(control));
        Self { watch, history: UnitHistory::new(model.config().units) }
    }

    /// Takes in a validated epoch; `None` for a deterministic twin. `measure` makes a probe, if one is due, from the KL of
    /// each unit in nats per window.
    pub(crate) fn epoch(
        &mut self,
        model: &Forecaster,
        evaluation: &Evaluation,
        control: Option<&LayerControl>,
        loss: f64,
        measure: impl FnOnce(&[f64]) -> Result<Option<Probe>, TrainError>,
    ) -> Result<Option<EpochUnits>, TrainError> {
        let (Some(statistics), Some(diagnostics)) =
            (&evaluation.units, diagnose(model, evaluation, control)?)
        else {
            return Ok(None);
        };
        let probe = measure(&unit_costs(&diagnostics))?;
        let left = rate_given_past(model, control, probe.as_ref());
        let view = EpochView {
            statistics,
            diagnostics: &diagnostics,
            loss,
            rate_given_past: left.as_deref(),
            unit_use: probe.as_ref().map(|probe| &probe.unit_use),
        };
        let living = self.watch.epoch(&view);
        let drift = self.watch.seen().drift.as_deref();
        self.history.push(&diagnostics, &living, drift);
        Ok(Some(EpochUnits::new(&diagnostics, &living, drift, probe.as_ref())))
    }

    /// What the last epoch showed beside those before it.
    pub(crate) fn seen(&self) -> &Seen {
        self.watch.seen()
    }

    /// Writes every unit in every epoch so far; nothing for a deterministic twin.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TrainError> {
        if self.history.epochs() == 0 { Ok(()) } else { self.history.write(path) }
    }
}
