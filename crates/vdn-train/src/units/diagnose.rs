//! The diagnostics of the layers of units, computed from a validation.

use crate::error::TrainError;
use crate::evaluate::{LayerValidation, Validation};
use crate::network::Network;
use crate::units::probe::LayerProbe;
use crate::units::unit_report::per_unit;
use vdn_model::controllers::{LayerControl, StackControl};
use vdn_model::diagnostics::{Diagnostics, LayerContext};
use vdn_model::objective::Objective;
use vdn_tensor::Element;

/// The internal measures of every unit, computed from the statistics of a validation. The result
/// has one value for each layer with distributional units, from the input up; it is empty for a
/// deterministic network.
///
/// Measures are on the scale of the prior, learned or not. They exist for all families of units.
/// For families other than the normal, `sigma` and `energy` are shares of the prior's variance, the
/// rate is 0 if nothing depends on the input, and the mismatch is the rest of the KL, which the
/// constant of the family can make negative (`docs/mathematics.md`).
///
/// # Errors
/// Returns an error if the statistics come from another network.
pub fn diagnose<T: Element, N: Network<T> + ?Sized>(
    network: &N,
    validation: &Validation,
    control: &StackControl,
) -> Result<Vec<Diagnostics>, TrainError> {
    let of = |seen: &LayerValidation| {
        let layer = network.layers()[seen.layer];
        let (units, control) = (layer.distributional(), control.layer(seen.layer));
        let beta = match (network.objective(), control) {
            (Objective::Vib, Some(control)) => {
                let objective = &control.levers().objective;
                objective.beta.iter().map(|beta| objective.kl_factor * beta).collect()
            }
            // Under a bound the weight of the KL is fixed.
            _ => vec![network.kl_weight(seen.layer); units],
        };
        let band = control.and_then(|control| control.levers().objective.band.as_ref());
        let context = LayerContext {
            label: layer.label(),
            latent_dims: layer.latent_dims(),
            beta: &beta,
            band: band.map(|band| &band.bounds),
            prior_variance: &[],
        };
        Ok(Diagnostics::new(&seen.statistics, &seen.rows, &context)?)
    };
    validation.layers.iter().map(of).collect()
}

/// The KL of each unit in nats per window.
#[must_use]
pub fn unit_costs(diagnostics: &Diagnostics) -> Vec<f64> {
    diagnostics.kl.iter().map(|kl| kl * diagnostics.latent_dims as f64).collect()
}

/// The rate of each unit given its past, in nats per latent dimension, if an autoregressive term or
/// a persistence target acts on the layer. Only there can the past capture a unit.
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
