//! The control part of a configuration: which controllers the layer of units has.
//!
//! ```toml
//! [control]
//! mode = "rate"                    # none, rate, homeo, proj_on, proj_off
//! controllers = ["ar", "annealing"] # beside the mode's own; each has a table below with its settings
//! warmup_steps = 100
//! every = 5
//! [control.rate]                   # the budget of the rate; [control.kl] has the same keys
//! target = 0.2                     # or low and high
//! [control.ar]
//! phi = 0.95
//! share = 0.20
//! share_cap = 0.30
//! ```
//!
//! Controllers that move the same lever, whose demands no unit can meet together, or one of which leaves the other
//! without effect are refused when the model is built; the message names both and says why.

use super::controller_set::{ControllerName, ControllerSet};
use super::controllers::{
    AnnealingConfig, ArConfig, BudgetConfig, CapacityConfig, FreeBitsConfig, GecoSettings,
    PiSettings, ThermostatSettings,
};
use super::feasible::check_demands;
use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{
    BandCalibration, BandCalibrationConfig, BandConfig, BandShape, BandWeight, BatchWeights,
    BetaThermostat, EnergyBand, FocusLow, Hinge, HingeForm, Homeostat, HomeostatConfig,
    InsideTarget, LayerControl, LayerControlConfig, Projection, ProjectionConfig, Ramp, Rescaling,
    ScaleRule, Sees, SigmaGuard, SigmaGuardConfig, SigmaKick, SingleUnit, ThermostatConfig, Timing,
};
use vdn_model::{BandTerm, ForecasterConfig, UnitMeasures, Variant};

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
    /// Controllers beside those of the mode.
    pub controllers: ControllerSet,
    /// Steps before controllers act.
    pub warmup_steps: u64,
    /// Steps from one act to the next.
    pub every: u64,
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
    /// The autoregressive penalty.
    pub ar: ArConfig,
    /// The budget of the rate.
    pub rate: BudgetConfig,
    /// The budget of the KL.
    pub kl: BudgetConfig,
    /// Free bits.
    pub free_bits: FreeBitsConfig,
    /// Annealing.
    pub annealing: AnnealingConfig,
    /// The capacity target.
    pub capacity: CapacityConfig,
    /// GECO.
    pub geco: GecoSettings,
    /// PI control.
    pub pi: PiSettings,
    /// The thermostat.
    pub thermostat: ThermostatSettings,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            mode: ControlName::None,
            controllers: ControllerSet::default(),
            warmup_steps: 0,
            every: 5,
            band_target: 0.03,
            band_spread: 8.0,
            band_shuffle: None,
            band_weight: 3.0,
            band_ramp_steps: 200,
            calibration_every: 50,
            homeostat_gain: 0.15,
            ar: ArConfig::default(),
            rate: BudgetConfig::default(),
            kl: BudgetConfig::default(),
            free_bits: FreeBitsConfig::default(),
            annealing: AnnealingConfig::default(),
            capacity: CapacityConfig::default(),
            geco: GecoSettings::default(),
            pi: PiSettings::default(),
            thermostat: ThermostatSettings::default(),
        }
    }
}

impl ControlConfig {
    /// Whether the layer has this controller, by the mode or beside it.
    #[must_use]
    pub fn has(&self, name: ControllerName) -> bool {
        let by_mode = match name {
            ControllerName::Rate => self.mode == ControlName::Rate,
            ControllerName::Thermostat => self.has_bands(),
            _ => false,
        };
        by_mode || self.controllers.contains(name)
    }

    pub(super) fn has_bands(&self) -> bool {
        !matches!(self.mode, ControlName::None | ControlName::Rate)
    }

    /// Whether the KL of every row is wanted.
    #[must_use]
    pub fn wants_rows(&self) -> bool {
        self.has(ControllerName::Thermostat)
    }

    /// Whether windows need the predecessors of their earlier windows.
    #[must_use]
    pub fn wants_predecessors(&self, reference: bool) -> bool {
        self.has(ControllerName::Ar)
            && self.ar.earlier(reference) == vdn_model::EarlierWindow::Predecessor
    }

    /// The controllers of a model's layer, `None` where there is nothing to control. `reference`: as the reference has
    /// them, inconsistencies included.
    ///
    /// # Errors
    /// A value outside its domain; constraints that no unit can meet together, or controllers that leave each other
    /// without effect; a mode that the model has no use for.
    pub fn build(
        &self,
        model: &ForecasterConfig,
        reference: bool,
    ) -> Result<Option<LayerControl>, TrainError> {
        let weight = self.band_weight;
        if !(weight >= 0.0 && weight.is_finite()) {
            let reason = format!("control.band_weight = {weight}: has to be at least 0 and finite");
            return Err(TrainError::config(reason));
        }
        let idle = self.mode == ControlName::None && self.controllers == ControllerSet::default();
        if idle || model.variant != Variant::Variational {
            return Ok(None);
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
        let only_rate =
            self.mode == ControlName::Rate && self.controllers == ControllerSet::default();
        if !only_rate && !model.family.is_gaussian() {
            let reason = "control.mode: bands and their feasibility are those of normal units; \
                          other families can be controlled by rate";
            return Err(TrainError::config(reason));
        }
        check_demands(self, model, reference)?;
        let config = LayerControlConfig {
            beta: model.beta_of(0),
            measures: if reference { UnitMeasures::Pooled } else { UnitMeasures::PerDimension },
            rescaling: if reference { Rescaling::Ignore } else { Rescaling::Follow },
            ..LayerControlConfig::default()
        };
        let mut control = LayerControl::new(model.units, model.latent_dims, config);
        if self.has_bands() {
            self.add_bands(&mut control, model, reference)?;
        }
        for name in ControllerName::ALL {
            if self.has(name) {
                self.add(name, &mut control, model, reference)?;
            }
        }
        Ok(Some(control))
    }

    pub(super) fn timing(&self) -> Timing {
        Timing { warmup: self.warmup_steps, every: self.every }
    }

    /// The energy bands that the settings describe.
    pub(super) fn energy_bands(
        &self,
        model: &ForecasterConfig,
        reference: bool,
    ) -> Result<EnergyBand, TrainError> {
        let single = if reference { SingleUnit::LowEnd } else { SingleUnit::Centre };
        let shape = BandShape::Heterogeneous {
            spread: self.band_spread,
            shuffled: self.band_shuffle,
            single,
        };
        let band = BandConfig { target: self.band_target, shape, ..BandConfig::default() };
        Ok(EnergyBand::new(model.units, &band)?)
    }

    pub(super) fn thermostat(&self, reference: bool) -> ThermostatConfig {
        let sees = if reference { Sees::LastBatch } else { Sees::Period };
        ThermostatConfig { sees, ..self.thermostat.config() }
    }

    fn add_bands(
        &self,
        control: &mut LayerControl,
        model: &ForecasterConfig,
        reference: bool,
    ) -> Result<(), TrainError> {
        let base = self.energy_bands(model, reference)?;
        let guard = SigmaGuardConfig {
            dead: if reference { SigmaKick::Never } else { SigmaKick::Dead },
            ..SigmaGuardConfig::default()
        };
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
        control.add(BetaThermostat::new(model.units, self.thermostat(reference))?, timing)?;
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
