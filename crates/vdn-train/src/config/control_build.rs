//! How each controller of a configuration is built.

use crate::config::control::ControlConfig;
use crate::config::controlled_layer::ControlledLayer;
use crate::config::controller_set::ControllerName;
use crate::config::controllers::{AnnealingName, BudgetScope};
use crate::error::TrainError;
use vdn_model::controllers::{
    Annealing, AnnealingShape, ArScaleControl, ArShare, BetaThermostat, Capacity, FreeBits, Geco,
    GecoConfig, KlBudget, LayerControl, PersistenceTarget, Pi, Ramp, RateBudget, Timing,
};
use vdn_model::{ArScale, ArTerm};

impl ControlConfig {
    /// Adds a controller; the thermostat of modes with bands is there already.
    pub(super) fn add(
        &self,
        name: ControllerName,
        control: &mut LayerControl,
        layer: &ControlledLayer,
    ) -> Result<(), TrainError> {
        let (dims, reference) = (layer.dims(), layer.reference);
        let (timing, warmup) = (self.timing(), self.warmup_steps);
        match name {
            ControllerName::Thermostat if self.has_bands() => {}
            ControllerName::Thermostat => {
                control
                    .add(BetaThermostat::new(layer.units, self.thermostat(reference))?, timing)?;
            }
            ControllerName::Rate => {
                control.add(RateBudget::new(dims, self.rate.constraint())?, timing)?;
            }
            ControllerName::Kl => {
                control.add(KlBudget::new(dims, self.kl.constraint())?, timing)?;
            }
            ControllerName::FreeBits => {
                control.add(FreeBits::new(self.free_bits.floor)?, timing)?;
            }
            ControllerName::Annealing => {
                let (steps, rise) = (self.annealing.steps, self.annealing.rise);
                if !(rise > 0.0 && rise <= 1.0) {
                    let reason = format!("control.annealing.rise = {rise}: has to be in (0, 1]");
                    return Err(TrainError::config(reason));
                }
                let shape = match self.annealing.shape {
                    AnnealingName::Monotone => AnnealingShape::Monotone { steps },
                    AnnealingName::Cyclical => AnnealingShape::Cyclical { period: steps, rise },
                };
                control.add(Annealing::new(shape)?, Timing::ALWAYS)?;
            }
            ControllerName::Capacity => {
                let ramp = Ramp { warmup, length: self.capacity.ramp_steps };
                let (weight, target) = (self.capacity.weight, self.capacity.target);
                control.add(Capacity::new(weight, target, ramp)?, Timing::ALWAYS)?;
            }
            ControllerName::Geco => {
                let Some(tolerance) = self.geco.tolerance else {
                    let reason = "control.geco.tolerance: has to be given, in nats per time step";
                    return Err(TrainError::config(reason));
                };
                let [min, max] = [self.geco.min, self.geco.max];
                if let Some(initial) = self.geco.initial.filter(|x| !(min..=max).contains(x)) {
                    let reason = format!(
                        "control.geco.initial = {initial}: has to be in [min, max], [{min}, {max}]"
                    );
                    return Err(TrainError::config(reason));
                }
                let config = GecoConfig {
                    tolerance,
                    initial: self.geco.initial.unwrap_or(layer.beta),
                    min: self.geco.min,
                    max: self.geco.max,
                    gain: self.geco.gain,
                };
                control.add(Geco::new(config)?, timing)?;
            }
            ControllerName::Pi => {
                control.add(Pi::new(layer.units, layer.beta, self.pi.config())?, timing)?;
            }
            ControllerName::Ar => self.add_autoregression(control, dims, reference)?,
            ControllerName::Persistence => {
                let target = self.persistence.config()?;
                control.add(PersistenceTarget::between_windows(dims, target)?, timing)?;
            }
        }
        Ok(())
    }

    fn add_autoregression(
        &self,
        control: &mut LayerControl,
        dims: usize,
        reference: bool,
    ) -> Result<(), TrainError> {
        self.ar.validate()?;
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
            earlier: self.ar.earlier(reference),
        });
        control.add(ArShare::new(self.ar.share(reference))?, self.timing())?;
        let ramp = Ramp { warmup: self.warmup_steps, length: self.ar.ramp_steps };
        control.add(ArScaleControl { scale, ramp }, Timing::ALWAYS)?;
        Ok(())
    }

    /// The geometric centre of the energies of units without mismatch whose rates lie at the ends of the budget: with the
    /// aggregate posterior at the prior, `M2 = 1 - exp(-2 R)`.
    fn energy_of_rates(&self, dims: usize) -> f64 {
        let share = match self.rate.scope {
            BudgetScope::Dimension => 1.0,
            BudgetScope::Layer => 1.0 / dims as f64,
        };
        let energy = |rate: f64| -(-2.0 * rate * share).exp_m1();
        let [low, high] = self.rate.constraint().goal.bounds();
        (energy(low) * energy(high)).sqrt()
    }
}
