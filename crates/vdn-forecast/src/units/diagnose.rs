//! From a validation pass to the diagnostics of the layers of units.

use crate::evaluate::validation::{Evaluation, LayerEvaluation};
use crate::forecaster::Forecaster;
use crate::units::probe::LayerProbe;
use crate::units::unit_report::per_unit;
use vdn_model::Objective;
use vdn_model::controllers::{LayerControl, StackControl};
use vdn_model::diagnostics::{Diagnostics, LayerContext};
use vdn_model::{LayerPrior, SigmaMode, UnitStatistics};
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_train::TrainError;

/// The limits of the log-variances of layer number `layer`, from 0: its hard ones, or those of a guard on the parameter
/// `log sigma`, where that is what statistics are of.
#[must_use]
pub fn logvar_limits(model: &Forecaster, layer: usize, control: &StackControl) -> [f64; 2] {
    let config = model.config();
    let standard = config.prior.get(layer) == LayerPrior::Standard;
    let parameter = config.sigma != SigmaMode::PerUnitInput && standard;
    let guarded = control.layer(layer).filter(|_| parameter);
    let limit = |name, hard: f64| {
        let guard = guarded.and_then(|control| control.reported("sigma_guard", name));
        guard.map_or(hard, |deviation| 2.0 * deviation.ln())
    };
    [limit("floor", LOGVAR_MIN).max(LOGVAR_MIN), limit("ceiling", LOGVAR_MAX).min(LOGVAR_MAX)]
}

/// The parts of the statistics of all units that are those of each layer with distributional units, from the encoder up.
#[must_use]
pub fn layer_statistics(model: &Forecaster, units: &UnitStatistics) -> Vec<UnitStatistics> {
    let mut start = 0;
    let mut part = |layer: usize| {
        let units_of = model.stack().layers()[layer].config().distributional();
        let dims = units_of * model.config().latent_dims;
        start += dims;
        units.part(start - dims..start)
    };
    model.distributional_layers().into_iter().map(&mut part).collect()
}

/// The internal measures of every unit, from the statistics of a validation pass: one value for each layer with
/// distributional units, from the encoder up; none for a deterministic twin.
///
/// Measures are on the scale of the prior, learned or not. Units of other families than the normal have all of them: `sigma`
/// and `energy` as shares of the prior's variance, a rate that is 0 where nothing depends on the input, and the mismatch as
/// what the KL has beyond the rate, which the constant of the family may turn below 0 (`docs/mathematics.md`).
///
/// # Errors
/// Statistics of another model.
pub fn diagnose(
    model: &Forecaster,
    evaluation: &Evaluation,
    control: &StackControl,
) -> Result<Vec<Diagnostics>, TrainError> {
    let config = model.config();
    let of = |seen: &LayerEvaluation| {
        let layer = &model.stack().layers()[seen.layer];
        let (units, control) = (layer.config().distributional(), control.layer(seen.layer));
        let beta = match (config.objective, control) {
            (Objective::Vib, Some(control)) => {
                let objective = &control.levers().objective;
                objective.beta.iter().map(|beta| objective.kl_factor * beta).collect()
            }
            (Objective::Vib, None) => vec![config.beta_of(seen.layer); units],
            (Objective::Elbo | Objective::Iwae, _) => {
                vec![1.0 / config.horizon as f64; units]
            }
        };
        let band = control.and_then(|control| control.levers().objective.band.as_ref());
        let context = LayerContext {
            label: layer.units().map_or("", |units| units.label()),
            latent_dims: config.latent_dims,
            beta: &beta,
            band: band.map(|band| &band.bounds),
            prior_variance: &[],
        };
        Ok(Diagnostics::new(&seen.statistics, &seen.rows, &context)?)
    };
    evaluation.layers.iter().map(of).collect()
}

/// The KL of each unit, nats per window.
pub(crate) fn unit_costs(diagnostics: &Diagnostics) -> Vec<f64> {
    diagnostics.kl.iter().map(|kl| kl * diagnostics.latent_dims as f64).collect()
}

/// The rate that each unit's past leaves, nats per latent dimension, where an autoregressive term or a persistence target acts on
/// the layer: only there can the past capture a unit.
pub(crate) fn rate_given_past(
    control: Option<&LayerControl>,
    latent_dims: usize,
    probe: Option<&LayerProbe>,
) -> Option<Vec<f64>> {
    let objective = &control?.levers().objective;
    let penalised = objective.autoregression.is_some_and(|term| term.weight * term.ramp > 0.0);
    let left = probe?.rate_given_past.as_deref()?;
    (penalised || objective.persistence.is_some()).then(|| per_unit(left, latent_dims))
}
