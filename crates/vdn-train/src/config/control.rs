//! The control part of a configuration: which controllers the layer of units has.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{
    BandCalibration, BandCalibrationConfig, BandConfig, BandShape, BandWeight, BatchWeights,
    BetaThermostat, ConstraintConfig, EnergyBand, FocusLow, Goal, Hinge, HingeForm, Homeostat,
    HomeostatConfig, InsideTarget, LayerControl, LayerControlConfig, Projection, ProjectionConfig,
    Ramp, RateBudget, Rescaling, ScaleRule, Sees, SigmaGuard, SigmaGuardConfig, SigmaKick,
    SingleUnit, ThermostatConfig, Timing, UnitConstraints,
};
use vdn_model::{BandTerm, ForecasterConfig, Objective, SigmaMode, UnitMeasures, Variant};

/// How the units of the layer are kept inside their constraints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlName {
    /// Not at all: every KL has the same constant weight.
    #[default]
    None,
    /// A rate interval for each latent dimension.
    Rate,
    /// The reference's homeostat: thermostat, band penalty, calibrated bands, rescaled mean heads, sigma guard.
    Homeo,
    /// The reference's projection: as `homeo`, but mean heads are projected onto their bands.
    ProjOn,
    /// The reference's losses only: thermostat and band penalty.
    ProjOff,
}

/// The settings of the controllers; those of other modes than the one that is chosen are without effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// How units are kept inside their constraints.
    pub mode: ControlName,
    /// Steps before controllers act.
    pub warmup_steps: u64,
    /// Steps from one act to the next.
    pub every: u64,
    /// `rate`: the least rate of each latent dimension in nats.
    pub rate_low: f64,
    /// `rate`: the largest.
    pub rate_high: f64,
    /// `rate`: the penalty's stiffness, nats of loss per time step and squared nat.
    pub stiffness: f64,
    /// `rate`: how fast multipliers follow a violation.
    pub gain: f64,
    /// `rate`: the largest multiplier.
    pub limit: f64,
    /// The energy that bands lie around.
    pub band_target: f64,
    /// The spread of the bands over the units; 1: all the same.
    pub band_spread: f64,
    /// Shuffles the bands over the units with this seed; left out: ascending.
    pub band_shuffle: Option<u64>,
    /// The weight of the band penalty.
    pub band_weight: f64,
    /// Steps of the rise of that weight.
    pub band_ramp_steps: u64,
    /// Steps from one calibration of the bands to the next; 0: none.
    pub calibration_every: u64,
    /// The strength of the homeostat.
    pub homeostat_gain: f64,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let budget = ConstraintConfig::default();
        Self {
            mode: ControlName::None,
            warmup_steps: 0,
            every: 5,
            rate_low: 0.05,
            rate_high: 0.30,
            stiffness: budget.stiffness,
            gain: budget.gain,
            limit: budget.limit,
            band_target: 0.03,
            band_spread: 8.0,
            band_shuffle: None,
            band_weight: 3.0,
            band_ramp_steps: 200,
            calibration_every: 50,
            homeostat_gain: 0.15,
        }
    }
}

impl ControlConfig {
    /// Whether the KL of every row is wanted.
    #[must_use]
    pub fn wants_rows(&self) -> bool {
        !matches!(self.mode, ControlName::None | ControlName::Rate)
    }

    /// The controllers of a model's layer, `None` where there is nothing to control. `reference`: as the reference has
    /// them, inconsistencies included.
    ///
    /// # Errors
    /// A value outside its domain; constraints that no unit can meet together; a mode that the model has no use for.
    pub fn build(
        &self,
        model: &ForecasterConfig,
        reference: bool,
    ) -> Result<Option<LayerControl>, TrainError> {
        if self.mode == ControlName::None || model.variant != Variant::Variational {
            return Ok(None);
        }
        if self.wants_rows() && model.objective != Objective::Vib {
            let reason =
                "control.mode: a thermostat sets the weight of the KL, which elbo and iwae fix";
            return Err(TrainError::config(reason));
        }
        if model.depth > 1 || model.layer().units != model.units {
            let reason = format!(
                "control.mode: controllers are for one layer of distributional units, the model has {} layers, {} of {} \
                 units of the first are distributions",
                model.depth,
                model.layer().units,
                model.width(0)
            );
            return Err(TrainError::config(reason));
        }
        if self.mode != ControlName::Rate && !model.family.is_gaussian() {
            let reason = "control.mode: bands and their feasibility are those of normal units; \
                          other families can be controlled by rate";
            return Err(TrainError::config(reason));
        }
        let config = LayerControlConfig {
            beta: model.beta_of(0),
            measures: if reference { UnitMeasures::Pooled } else { UnitMeasures::PerDimension },
            rescaling: if reference { Rescaling::Ignore } else { Rescaling::Follow },
            ..LayerControlConfig::default()
        };
        let mut control = LayerControl::new(model.units, model.latent_dims, config);
        let built = match self.mode {
            ControlName::Rate => self.rate(&mut control, model),
            _ => self.bands(&mut control, model, reference),
        };
        built?;
        Ok(Some(control))
    }

    fn timing(&self) -> Timing {
        Timing { warmup: self.warmup_steps, every: self.every }
    }

    fn rate(&self, control: &mut LayerControl, model: &ForecasterConfig) -> Result<(), TrainError> {
        let budget = ConstraintConfig {
            goal: Goal::Interval(self.rate_low, self.rate_high),
            stiffness: self.stiffness,
            gain: self.gain,
            limit: self.limit,
            ..ConstraintConfig::default()
        };
        control.add(RateBudget::new(model.units * model.latent_dims, budget)?, self.timing())?;
        Ok(())
    }

    fn bands(
        &self,
        control: &mut LayerControl,
        model: &ForecasterConfig,
        reference: bool,
    ) -> Result<(), TrainError> {
        let single = if reference { SingleUnit::LowEnd } else { SingleUnit::Centre };
        let shape = BandShape::Heterogeneous {
            spread: self.band_spread,
            shuffled: self.band_shuffle,
            single,
        };
        let band = BandConfig { target: self.band_target, shape, ..BandConfig::default() };
        let base = EnergyBand::new(model.units, &band)?;
        let thermostat = ThermostatConfig {
            sees: if reference { Sees::LastBatch } else { Sees::Period },
            ..ThermostatConfig::default()
        };
        let guard = SigmaGuardConfig {
            dead: if reference { SigmaKick::Never } else { SigmaKick::Dead },
            ..SigmaGuardConfig::default()
        };
        let amortised = model.sigma == SigmaMode::PerUnitInput;
        if !reference {
            let constraints = UnitConstraints {
                rate: None,
                kl: Some(([thermostat.low, thermostat.high], "the thermostat")),
                band: Some(&base),
                sigma: if amortised { [1e-4, 10.0] } else { [guard.floor, guard.ceiling] },
                amortised,
            };
            constraints.check(model.units)?;
        }
        let hinge =
            Hinge { form: HingeForm::Relative { eps: 1e-3 }, weight_low: 1.0, weight_high: 1.0 };
        control.levers_mut().objective.band =
            Some(BandTerm { bounds: base.clone(), hinge, weight: 0.0 });
        let timing = self.timing();
        let warmup = self.warmup_steps;
        if self.calibration_every > 0 {
            let rule = if reference { ScaleRule::Scales } else { ScaleRule::Bounds };
            let calibration = BandCalibrationConfig { rule, ..BandCalibrationConfig::default() };
            let every = Timing { warmup, every: self.calibration_every };
            control.add(BandCalibration::new(base, calibration)?, every)?;
        }
        control.add(BetaThermostat::new(model.units, thermostat)?, timing)?;
        match self.mode {
            ControlName::Homeo => {
                let inside = if reference { InsideTarget::Geometric } else { InsideTarget::Energy };
                let homeostat = HomeostatConfig {
                    gain: self.homeostat_gain,
                    inside,
                    ..HomeostatConfig::default()
                };
                control.add(Homeostat::new(homeostat)?, timing)?;
            }
            ControlName::ProjOn => {
                let weights = if reference { BatchWeights::Equal } else { BatchWeights::Rows };
                let projection = ProjectionConfig { weights, ..ProjectionConfig::default() };
                control.add(Projection::new(model.units, projection)?, timing)?;
            }
            _ => {}
        }
        if self.mode != ControlName::ProjOff {
            control.add(SigmaGuard::new(guard)?, timing)?;
        }
        let ramp = Ramp { warmup, length: self.band_ramp_steps };
        let weight = BandWeight::new(self.band_weight, ramp, Some(FocusLow::default()));
        control.add(weight, Timing::ALWAYS)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{load_control, save_control};

    fn model() -> ForecasterConfig {
        ForecasterConfig { units: 8, ..ForecasterConfig::default() }
    }

    #[test]
    fn every_mode_builds_and_its_state_survives_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.safetensors");
        use ControlName::{Homeo, ProjOff, ProjOn, Rate};
        for mode in [Rate, Homeo, ProjOn, ProjOff] {
            for reference in [false, true] {
                let config = ControlConfig { mode, ..ControlConfig::default() };
                let control = config.build(&model(), reference).unwrap().unwrap();
                save_control(&control.state(), &path).unwrap();
                let mut other = config.build(&model(), reference).unwrap().unwrap();
                other.restore(&load_control(&path).unwrap()).unwrap();
                assert_eq!(other.state(), control.state(), "{mode:?}");
            }
        }
        assert!(ControlConfig::default().build(&model(), false).unwrap().is_none());
    }

    #[test]
    fn what_cannot_hold_is_refused_when_the_model_is_built() {
        let wide = ControlConfig {
            mode: ControlName::Homeo,
            band_spread: 40.0,
            ..ControlConfig::default()
        };
        let message = wide.build(&model(), false).unwrap_err().to_string();
        assert!(message.contains("band") && message.contains("thermostat"), "{message}");
        let config = ControlConfig { mode: ControlName::Homeo, ..ControlConfig::default() };
        let elbo = ForecasterConfig { objective: Objective::Elbo, ..model() };
        assert!(config.build(&elbo, false).unwrap_err().to_string().contains("thermostat"));
        let empty =
            ControlConfig { mode: ControlName::Rate, rate_low: 0.4, ..ControlConfig::default() };
        assert!(empty.build(&model(), false).is_err());
    }
}
