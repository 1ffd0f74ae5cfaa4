//! The domains of the numbers of `[control]`. The tables of controllers that are not chosen are
//! checked, too: a run that later chooses another controller finds valid settings.
//!
//! The controllers themselves define the domains. A check builds each controller once, for one
//! unit, and discards it.

use crate::config::control::{BAND_KEYS, ControlConfig, HOMEOSTAT_KEYS};
use crate::config::controllers::AR_KEYS;
use crate::config::layered::at_key;
use crate::domain::{check_domains, not_negative, positive};
use crate::error::TrainError;
use vdn_model::controllers::{
    Annealing, AnnealingShape, ArShare, BandConfig, BandShape, BetaThermostat, Capacity,
    ConstraintConfig, EnergyBand, FreeBits, Geco, Goal, Homeostat, HomeostatConfig,
    PersistenceConfig, PersistenceTarget, Pi, Ramp, SingleUnit,
};

impl ControlConfig {
    /// Checks every number by itself, including the settings of single layers.
    ///
    /// # Errors
    /// Returns an error for the first value outside its domain: one line with key, value and
    /// domain.
    pub fn check_domains(&self) -> Result<(), TrainError> {
        self.check_own()?;
        for own in &self.layer {
            self.of_layer(own.layer)?.check_own().map_err(|error| match error {
                TrainError::Config(reason) => {
                    TrainError::config(format!("layer {}: {reason}", own.layer))
                }
                other => other,
            })?;
        }
        Ok(())
    }

    fn check_own(&self) -> Result<(), TrainError> {
        if self.every == 0 {
            return Err(TrainError::config("control.every = 0: has to be at least 1"));
        }
        let (weight, spread) = (self.band_weight, self.band_spread);
        check_domains(
            "control",
            &[
                ("band_weight", weight, not_negative(weight), "finite and at least 0"),
                ("band_spread", spread, spread >= 1.0 && spread.is_finite(), "finite, at least 1"),
            ],
        )?;
        let shape =
            BandShape::Heterogeneous { spread, shuffled: None, single: SingleUnit::default() };
        let band = BandConfig { target: self.band_target, shape, ..BandConfig::default() };
        EnergyBand::new(1, &band).map_err(at_key("control", BAND_KEYS))?;
        let homeostat = HomeostatConfig { gain: self.homeostat_gain, ..Default::default() };
        Homeostat::new(homeostat).map_err(at_key("control", HOMEOSTAT_KEYS))?;
        self.check_autoregression()?;
        for (at, budget) in [("control.rate", &self.rate), ("control.kl", &self.kl)] {
            let interval = Goal::Interval(budget.low, budget.high);
            for goal in [interval, budget.target.map_or(interval, Goal::Target)] {
                let constraint = ConstraintConfig { goal, ..budget.constraint() };
                constraint.validate().map_err(at_key(at, &[]))?;
            }
        }
        FreeBits::new(self.free_bits.floor).map_err(at_key("control.free_bits", &[]))?;
        let rise = self.annealing.rise;
        let cycle = AnnealingShape::Cyclical { period: self.annealing.steps.max(1), rise };
        for shape in [cycle, self.annealing.to_shape()] {
            Annealing::new(shape).map_err(at_key("control.annealing", &[("period", "steps")]))?;
        }
        let (weight, target) = (self.capacity.weight, self.capacity.target);
        Capacity::new(weight, target, Ramp::default()).map_err(at_key("control.capacity", &[]))?;
        Pi::new(1, 0.0, self.pi).map_err(at_key("control.pi", &[]))?;
        let thermostat = BetaThermostat::new(1, self.thermostat);
        thermostat.map_err(at_key("control.thermostat", &[]))?;
        self.check_geco()?;
        self.check_persistence()
    }

    fn check_autoregression(&self) -> Result<(), TrainError> {
        let ar = &self.ar;
        let [floor, ceiling] = [ar.scale_floor, ar.scale_ceiling];
        let at_least_floor = ceiling >= floor && ceiling.is_finite();
        let cap = ar.share_cap;
        check_domains(
            "control.ar",
            &[
                ("phi", ar.phi, ar.phi.abs() <= 1.0, "in [-1, 1]"),
                ("scale", ar.scale, positive(ar.scale), "finite and above 0"),
                ("scale_floor", floor, positive(floor), "finite and above 0"),
                ("scale_ceiling", ceiling, at_least_floor, "finite, at least scale_floor"),
                ("share", ar.share, (0.0..1.0).contains(&ar.share), "in [0, 1)"),
                (
                    "share_cap",
                    cap,
                    cap >= ar.share && cap.is_finite(),
                    "finite, at least share; above 1 there is no cap",
                ),
            ],
        )?;
        ArShare::new(ar.share(false)).map_err(at_key("control.ar", AR_KEYS))?;
        Ok(())
    }

    fn check_geco(&self) -> Result<(), TrainError> {
        let geco = &self.geco;
        let config = geco.config(geco.tolerance.unwrap_or(0.0), geco.min);
        Geco::new(config).map_err(at_key("control.geco", &[]))?;
        let [min, max] = [geco.min, geco.max];
        match geco.initial {
            Some(initial) if !(min..=max).contains(&initial) => {
                let domain = format!("in [min, max], [{min}, {max}]");
                check_domains("control.geco", &[("initial", initial, false, &domain)])
            }
            _ => Ok(()),
        }
    }

    fn check_persistence(&self) -> Result<(), TrainError> {
        let own = &self.persistence;
        for (key, value) in [("low", own.low), ("high", own.high), ("target", own.target)] {
            let Some(value) = value else { continue };
            let good = value > -1.0 && value < 1.0;
            check_domains("control.persistence", &[(key, value, good, "in (-1, 1)")])?;
        }
        let goal = match (own.low, own.high) {
            (Some(low), Some(high)) => Goal::Interval(low, high),
            _ => Goal::Target(0.0),
        };
        let (stiffness, gain, limit) = (own.stiffness, own.gain, own.limit);
        let config = PersistenceConfig { goal, stiffness, gain, limit };
        let target = PersistenceTarget::between_windows(1, config);
        target.map(drop).map_err(at_key("control.persistence", &[]))
    }
}
