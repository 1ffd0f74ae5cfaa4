//! Contradictions between the controllers of a configuration: demands that no unit can meet
//! together, and controllers that leave another one without effect.

use crate::config::control::{ControlConfig, ControlName};
use crate::config::controlled_layer::ControlledLayer;
use crate::config::controller_set::{ControllerName, ControllerSet};
use crate::config::layered::at_key;
use crate::error::TrainError;
use vdn_model::controllers::{
    EnergyBand, PersistenceTarget, Scope, SigmaGuardConfig, UnitConstraints,
};
use vdn_model::objective::Objective;
use vdn_model::units::{LayerPrior, SigmaMode};

/// The interval in nats that a controller demands of each latent dimension, or of their mean.
#[derive(Clone, Copy, Debug)]
struct Demand {
    name: ControllerName,
    bounds: [f64; 2],
    mean: bool,
}

fn budget(name: ControllerName, bounds: [f64; 2], scope: Scope, dims: usize) -> Demand {
    match scope {
        Scope::Dimension => Demand { name, bounds, mean: false },
        Scope::Layer => Demand { name, bounds: bounds.map(|x| x / dims as f64), mean: true },
    }
}

/// All demands on the KL.
fn kl_demands(control: &ControlConfig, dims: usize) -> Vec<Demand> {
    use ControllerName::{Capacity, Kl, Pi, Thermostat};
    let thermostat = [control.thermostat.low, control.thermostat.high];
    let all = [
        Demand { name: Thermostat, bounds: thermostat, mean: false },
        budget(Kl, control.kl.constraint().goal.bounds(), control.kl.scope, dims),
        Demand { name: Pi, bounds: [control.pi.target; 2], mean: false },
        budget(Capacity, [control.capacity.target; 2], Scope::Layer, dims),
    ];
    all.into_iter().filter(|demand| control.has(demand.name)).collect()
}

fn refuse(a: ControllerName, b: ControllerName, why: impl std::fmt::Display) -> TrainError {
    TrainError::config(format!(
        "control: {} and {} cannot go together: {why}",
        a.title(),
        b.title()
    ))
}

/// The least distance from 0 of a value in an interval.
fn distance_from_zero([low, high]: [f64; 2]) -> f64 {
    low.max(-high).max(0.0)
}

/// Checks the persistence target against energy bands.
///
/// The correlation comes from the means alone: `|rho| <= C2/(C2 + V)`. An energy of at most `hi`
/// leaves `V <= hi (1 - |rho|)/|rho|`. The KL of such a unit is at least `(V - 1 - ln V)/2`.
fn check_persistence_in_bands(
    control: &ControlConfig,
    band: &EnergyBand,
    kl: &[Demand],
    least_sigma: f64,
) -> Result<(), TrainError> {
    use ControllerName::Persistence;
    let wanted = distance_from_zero(control.persistence.config()?.goal.bounds());
    for (unit, (lo, hi)) in band.lo.iter().zip(&band.hi).enumerate() {
        let variance = hi * (1.0 - wanted) / wanted;
        let is = format!(
            "a correlation of {wanted} in the energy band [{lo:.4}, {hi:.4}] of unit {unit} \
            leaves a variance of at most \
             {variance:.4}"
        );
        if least_sigma * least_sigma > variance {
            let name = Persistence.title();
            return Err(TrainError::config(format!(
                "control: {name} and the energy bands cannot go together: {is}, and deviations \
                are at least {least_sigma}"
            )));
        }
        let least = if variance < 1.0 { 0.5 * (variance - 1.0 - variance.ln()) } else { 0.0 };
        if let Some(kl) = kl.iter().find(|kl| !kl.mean && kl.bounds[1] < least) {
            let why = format!(
                "{is}, and thus a KL of at least {least:.3} nats, more than {}",
                kl.bounds[1]
            );
            return Err(refuse(Persistence, kl.name, why));
        }
    }
    Ok(())
}

/// Checks the persistence target by itself, and against all other demands on the rate, the KL and
/// the means.
fn check_persistence(control: &ControlConfig, layer: &ControlledLayer) -> Result<(), TrainError> {
    use ControllerName::{Ar, Persistence, Rate};
    let config = control.persistence.config()?;
    if let Some(prior) = layer.over_time {
        // The prior carries memory, so the target demands no rate.
        let target = PersistenceTarget::new(layer.dims(), prior, config);
        return target.map(drop).map_err(at_key("control.persistence", &[]));
    }
    PersistenceTarget::between_windows(layer.dims(), config)
        .map_err(at_key("control.persistence", &[]))?;
    let [low, high] = config.goal.bounds();
    let refuse_alone =
        |reason: &str| Err(TrainError::config(format!("control.persistence: {reason}")));
    if layer.layer > 0 {
        return refuse_alone(
            "is for the layer that sees the encoder: above it the means of both windows would be \
            drawn with the same noise \
             below; name it in a [[control.layer]] with layer = 1",
        );
    }
    if layer.prior != LayerPrior::Standard {
        return refuse_alone("compares means under the standard prior; model.prior is learned");
    }
    if control.has(Ar) {
        let why = "both pull at how alike the means of successive windows are";
        return Err(refuse(Ar, Persistence, why));
    }
    let wanted = distance_from_zero([low, high]);
    let rate =
        budget(Rate, control.rate.constraint().goal.bounds(), control.rate.scope, layer.dims());
    let rate = control.has(Rate).then_some(rate);
    for demand in rate.into_iter().chain(kl_demands(control, layer.dims())) {
        // The KL is at least the rate. The bound is concave, so it holds for means over dimensions,
        // too.
        let most = -(-2.0 * demand.bounds[1]).exp_m1();
        if wanted > most {
            let why = format!(
                "samples of two windows are drawn apart, so that with at most {} nats their \
                correlation is at most 1 - exp(-2 x) \
                 = {most:.3}, and {wanted} is wanted",
                demand.bounds[1]
            );
            return Err(refuse(demand.name, Persistence, why));
        }
    }
    Ok(())
}

/// Checks that a layer has the kind of units that its controllers need. `named` is the number of
/// the layer, from 1, if the configuration names it.
///
/// # Errors
/// Returns an error if the layer is named and has no distributional units, or if the controllers
/// are for normal units and the layer's units are of another family.
pub(super) fn check_units(
    control: &ControlConfig,
    layer: Option<&ControlledLayer>,
    named: Option<usize>,
) -> Result<(), TrainError> {
    if control.is_idle() {
        return Ok(());
    }
    let only_rate =
        control.mode == ControlName::Rate && control.controllers == ControllerSet::default();
    match (layer, named) {
        (None, Some(layer)) => {
            let reason = "has controllers, and no unit that is a distribution";
            Err(TrainError::config(format!("control.layer {layer}: {reason}")))
        }
        (Some(layer), _) if !only_rate && !layer.gaussian => {
            let reason = "control: these controllers are for normal and log-normal units; \
                          other families can be controlled by rate (mode = \"rate\", or none)";
            Err(TrainError::config(reason))
        }
        _ => Ok(()),
    }
}

/// Checks all pairs of controllers.
///
/// # Errors
/// Returns an error for the first contradiction; it names the controllers and the reason.
pub(super) fn check_demands(
    control: &ControlConfig,
    layer: &ControlledLayer,
) -> Result<(), TrainError> {
    use ControllerName::{
        Annealing, Ar, Capacity, FreeBits, Geco, Persistence, Pi, Rate, Thermostat,
    };
    if layer.objective != Objective::Vib {
        for name in [Thermostat, FreeBits, Annealing, Capacity, Geco, Pi] {
            if control.has(name) {
                let reason = format!(
                    "control: {} sets the weight of the KL, which elbo and iwae fix",
                    name.title()
                );
                return Err(TrainError::config(reason));
            }
        }
    }
    if !layer.has_means && (control.has_bands() || control.has(Ar)) {
        let reason = "control: energy bands and the AR penalty act on the means of a stack's \
                      layers; any other layer is held by rate, kl, persistence and the weight of \
                      its KL (mode = \"rate\" or \"none\")";
        return Err(TrainError::config(reason));
    }
    for name in [Annealing, FreeBits] {
        if control.has(name) && control.has(Capacity) {
            return Err(refuse(name, Capacity, "the target takes the place of the weighted KL"));
        }
    }
    if control.has(Ar) && layer.prior != LayerPrior::Standard {
        let reason = "control.ar: compares means under the standard prior; model.prior is learned";
        return Err(TrainError::config(reason));
    }
    if control.has(Persistence) {
        check_persistence(control, layer)?;
    }
    if layer.reference {
        // The reference's own defaults leave many units no room.
        return Ok(());
    }
    let dims = layer.dims();
    let kl = kl_demands(control, dims);
    for (i, a) in kl.iter().enumerate() {
        for b in &kl[i + 1..] {
            for (a, b) in [(a, b), (b, a)] {
                if a.bounds[0] > b.bounds[1] {
                    let why = format!(
                        "the KL of a latent dimension would have to be at least {} and at most {} \
                        nats",
                        a.bounds[0], b.bounds[1]
                    );
                    return Err(refuse(a.name, b.name, why));
                }
            }
        }
    }
    if control.has(FreeBits) {
        let floor = control.free_bits.floor;
        // Below the floor the KL has no weight, so nothing pulls it down to the demand.
        let in_vain = |kl: &&Demand| kl.bounds[1] < floor && kl.name != ControllerName::Kl;
        if let Some(kl) = kl.iter().find(in_vain) {
            let why = format!(
                "a KL of a latent dimension below {floor} nats has no weight, and {} is to bring \
                it to at most {}",
                kl.name.title(),
                kl.bounds[1]
            );
            return Err(refuse(FreeBits, kl.name, why));
        }
    }
    let rate = budget(Rate, control.rate.constraint().goal.bounds(), control.rate.scope, dims);
    let rate = control.has(Rate).then_some(rate);
    for kl in &kl {
        if let Some(rate) = rate
            && rate.bounds[0] > kl.bounds[1]
        {
            let why = format!(
                "the KL is at least the rate, {} nats, more than {}",
                rate.bounds[0], kl.bounds[1]
            );
            return Err(refuse(Rate, kl.name, why));
        }
    }
    if !control.has_bands() {
        return Ok(());
    }
    let band = control.energy_bands(layer)?;
    let guard = SigmaGuardConfig::default();
    let amortised = layer.sigma == SigmaMode::PerUnitInput;
    let constraints = UnitConstraints {
        // A demand on a mean over units leaves each single unit free.
        rate: rate.filter(|rate| !rate.mean).map(|rate| (rate.bounds, rate.name.title())),
        kl: None,
        band: Some(&band),
        sigma: if amortised { [1e-4, 10.0] } else { [guard.floor, guard.ceiling] },
        amortised,
    };
    constraints.check(layer.units).map_err(at_key("control", &[]))?;
    if control.has(Persistence) {
        check_persistence_in_bands(control, &band, &kl, constraints.sigma[0])?;
    }
    for kl in kl {
        if !kl.mean {
            let kl = Some((kl.bounds, kl.name.title()));
            let constraints = UnitConstraints { kl, ..constraints.clone() };
            constraints.check(layer.units).map_err(at_key("control", &[]))?;
            continue;
        }
        let least = (0..layer.units).filter_map(|i| constraints.least_kl(i)).sum::<f64>()
            / layer.units as f64;
        if least > kl.bounds[1] {
            return Err(TrainError::config(format!(
                "control: the energy bands and {} cannot go together: with these energies the KL \
                of a latent dimension is \
                 at least {least:.4} nats on average, more than {}",
                kl.name.title(),
                kl.bounds[1]
            )));
        }
    }
    Ok(())
}
