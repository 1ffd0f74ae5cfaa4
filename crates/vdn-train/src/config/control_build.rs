//! Construction of each controller of a configuration.

use crate::config::control::ControlConfig;
use crate::config::controlled_layer::ControlledLayer;
use crate::config::controller_set::ControllerName;
use crate::config::controllers::AR_KEYS;
use crate::config::layered::at_key;
use crate::error::TrainError;
use vdn_model::controllers::{
    Annealing, ArScaleControl, ArShare, BetaThermostat, Capacity, FreeBits, Geco, KlBudget,
    LayerControl, PersistenceTarget, Pi, Ramp, RateBudget, Scope, Timing,
};
use vdn_model::objective::{ArScale, ArTerm};

impl ControlConfig {
    /// Adds a controller. In modes with bands the thermostat is already there.
    pub(super) fn add(
        &self,
        name: ControllerName,
        control: &mut LayerControl,
        layer: &ControlledLayer,
    ) -> Result<(), TrainError> {
        let (dims, reference) = (layer.dims(), layer.reference);
        let (timing, warmup) = (self.timing(), self.warmup_steps);
        let at = format!("control.{}", name.key());
        let at = at_key(&at, &[]);
        let added = match name {
            ControllerName::Thermostat if self.has_bands() => Ok(()),
            ControllerName::Thermostat => {
                let config = self.thermostat(reference);
                control.add(BetaThermostat::new(layer.units, config).map_err(at)?, timing)
            }
            ControllerName::Rate => control
                .add(RateBudget::new(dims, self.rate.of_layer(layer.beta)).map_err(at)?, timing),
            ControllerName::Kl => {
                control.add(KlBudget::new(dims, self.kl.of_layer(layer.beta)).map_err(at)?, timing)
            }
            ControllerName::FreeBits => {
                control.add(FreeBits::new(self.free_bits.floor).map_err(at)?, timing)
            }
            ControllerName::Annealing => {
                control.add(Annealing::new(self.annealing.to_shape()).map_err(at)?, Timing::ALWAYS)
            }
            ControllerName::Capacity => {
                let ramp = Ramp { warmup, length: self.capacity.ramp_steps };
                let (weight, target) = (self.capacity.weight, self.capacity.target);
                control.add(Capacity::new(weight, target, ramp).map_err(at)?, Timing::ALWAYS)
            }
            ControllerName::Geco => {
                let Some(tolerance) = self.geco.tolerance else {
                    let reason = "control.geco.tolerance: has to be given, in the loss's unit: \
                                  nats per time step of a window, or per row and target";
                    return Err(TrainError::config(reason));
                };
                let config = self.geco.config(tolerance, layer.beta);
                control.add(Geco::new(config).map_err(at)?, timing)
            }
            ControllerName::Pi => {
                control.add(Pi::new(layer.units, layer.beta, self.pi).map_err(at)?, timing)
            }
            ControllerName::Ar => return self.add_autoregression(control, dims, reference),
            ControllerName::Persistence => {
                let target = self.persistence.config()?;
                let target = match layer.over_time {
                    Some(prior) => PersistenceTarget::new(dims, prior, target),
                    None => PersistenceTarget::between_windows(dims, target),
                };
                control.add(target.map_err(at)?, timing)
            }
        };
        added.map_err(at_key("control", &[]))
    }

    fn add_autoregression(
        &self,
        control: &mut LayerControl,
        dims: usize,
        reference: bool,
    ) -> Result<(), TrainError> {
        let scale = ArScale {
            factor: self.ar.scale,
            floor: self.ar.scale_floor,
            ceiling: self.ar.scale_ceiling,
            ..ArScale::default()
        };
        control.levers_mut().objective.autoregression = Some(ArTerm {
            weight: self.ar.weight,
            ramp: 0.0,
            phi: self.ar.phi,
            sigma: scale.from_width(self.energy_of_rates(dims).sqrt()),
            earlier: self.ar.earlier,
        });
        let share =
            ArShare::new(self.ar.share(reference)).map_err(at_key("control.ar", AR_KEYS))?;
        control.add(share, self.timing()).map_err(at_key("control", &[]))?;
        let ramp = Ramp { warmup: self.warmup_steps, length: self.ar.ramp_steps };
        control.add(ArScaleControl { scale, ramp }, Timing::ALWAYS).map_err(at_key("control", &[]))
    }

    /// The geometric centre of the energies of units without mismatch whose rates are at the ends
    /// of the budget. If the aggregate posterior equals the prior, the energy is
    /// `M2 = 1 - exp(-2 R)`.
    fn energy_of_rates(&self, dims: usize) -> f64 {
        let share = match self.rate.scope {
            Scope::Dimension => 1.0,
            Scope::Layer => 1.0 / dims as f64,
        };
        let energy = |rate: f64| -(-2.0 * rate * share).exp_m1();
        let [low, high] = self.rate.constraint().goal.bounds();
        (energy(low) * energy(high)).sqrt()
    }
}
