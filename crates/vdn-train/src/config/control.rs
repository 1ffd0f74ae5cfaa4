//! The control part of a configuration: the controllers of the layers of units.
//!
//! ```toml
//! [control]
//! mode = "rate"                    # the default; or none, homeo, proj_on, proj_off
//! controllers = ["ar", "annealing"] # beside the mode's own; each has a table with its settings
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
//! These settings apply to every layer with distributional units. `[[control.layer]]` changes them
//! for single layers; see [`LayerOverride`].
//!
//! Building the model refuses two controllers if they set the same quantity, if no unit can meet
//! the demands of both, or if one leaves the other without effect. The message names both
//! controllers and the reason.

use crate::config::control_layers::LayerOverride;
use crate::config::controlled_layer::ControlledLayer;
use crate::config::controller_set::{ControllerName, ControllerSet};
use crate::config::controllers::{
    AnnealingConfig, ArConfig, BudgetConfig, CapacityConfig, FreeBitsConfig, GecoSettings,
    PersistenceSettings,
};
use crate::config::feasible::{check_demands, check_units};
use crate::config::layered::at_key;
use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{
    BandCalibration, BandCalibrationConfig, BandConfig, BandShape, BandWeight, BatchWeights,
    BetaThermostat, EnergyBand, FocusLow, Hinge, HingeForm, Homeostat, HomeostatConfig,
    InsideTarget, LayerControl, LayerControlConfig, PiConfig, Projection, ProjectionConfig, Ramp,
    Rescaling, ScaleRule, Sees, SigmaGuard, SigmaGuardConfig, SigmaKick, SingleUnit, StackControl,
    ThermostatConfig, Timing,
};
use vdn_model::objective::{BandTerm, EarlierWindow, UnitMeasures};

/// The control mode: how the units of a layer are kept inside their constraints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlName {
    /// No control: every KL has the same constant weight.
    None,
    /// A rate interval for each latent dimension.
    #[default]
    Rate,
    /// The reference's homeostat: thermostat, band penalty, calibrated bands, rescaled mean heads,
    /// and sigma guard.
    Homeo,
    /// The reference's projection: like `homeo`, but mean heads are projected onto their bands.
    ProjOn,
    /// The reference's losses alone: thermostat and band penalty.
    ProjOff,
}

/// The settings of the controllers. Settings of controllers that are not chosen have no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// The control mode: `rate` (the default), `none`, `homeo`, `proj_on` or `proj_off`.
    ///
    /// If a table does not have this key, the mode is `none` if `controllers` names controllers, or
    /// if the reference's defaults are selected. Single layers keep the mode of all layers unless
    /// they name their own.
    pub mode: ControlName,
    /// Controllers in addition to the controllers of the mode; default: none.
    pub controllers: ControllerSet,
    /// The number of steps before controllers act; default 0.
    pub warmup_steps: u64,
    /// The number of steps between two actions of a controller, at least 1; default 5.
    pub every: u64,
    /// Whether the weights and gains of controllers are relative to the weight of the layer's KL;
    /// default false, and true in [`Trainer::default`](crate::train::Trainer).
    ///
    /// If they are relative, a factor applies: the weight of the KL divided by 0.005, or 1 if this
    /// is less. Weights are multiplied by the factor. Gains per nat of the loss are divided by it.
    /// Controllers then have the same effect on losses of any scale. The budgets of rate and KL
    /// have their own key, [`BudgetConfig::relative`].
    pub relative: bool,
    /// The energy around which the bands lie, finite and above 0; default 0.03.
    pub band_target: f64,
    /// The spread of the bands over the units, finite and at least 1; default 8. With 1, all units
    /// have the same band.
    pub band_spread: f64,
    /// A seed with which the bands are shuffled over the units; default: none, for ascending bands.
    pub band_shuffle: Option<u64>,
    /// The weight of the band penalty, finite and at least 0; default 3.
    pub band_weight: f64,
    /// The number of steps in which the weight of the band penalty rises; default 200.
    pub band_ramp_steps: u64,
    /// The number of steps between two calibrations of the bands; default 50. 0 disables
    /// calibration.
    pub calibration_every: u64,
    /// The strength of the homeostat, in [0, 0.5]; default 0.15.
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
    pub pi: PiConfig,
    /// The thermostat.
    pub thermostat: ThermostatConfig,
    /// The persistence target.
    pub persistence: PersistenceSettings,
    /// The settings that differ in single layers; default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<LayerOverride>,
}

/// The fields of the bands' own configuration, and their keys in `[control]`.
pub(super) const BAND_KEYS: &[(&str, &str)] =
    &[("target", "band_target"), ("spread", "band_spread")];
/// The field of the homeostat's own configuration, and its key in `[control]`.
pub(super) const HOMEOSTAT_KEYS: &[(&str, &str)] = &[("gain", "homeostat_gain")];

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            mode: ControlName::Rate,
            controllers: ControllerSet::default(),
            warmup_steps: 0,
            every: 5,
            relative: false,
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
            pi: PiConfig::default(),
            thermostat: ThermostatConfig::default(),
            persistence: PersistenceSettings::default(),
            layer: Vec::new(),
        }
    }
}

impl ControlConfig {
    /// The defaults of the reference implementation: no constraints, and an AR penalty that encodes
    /// the earlier window with itself.
    #[must_use]
    pub fn reference() -> Self {
        let ar = ArConfig { earlier: EarlierWindow::Itself, ..ArConfig::default() };
        Self { mode: ControlName::None, ar, ..Self::default() }
    }

    /// Whether layers without their own settings have this controller, by the mode or in addition
    /// to it.
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

    /// Builds the controllers of a model's layers. `reference` selects the reference's behaviour,
    /// including its inconsistencies.
    ///
    /// # Errors
    /// Returns an error if
    ///
    /// * a value is outside its domain,
    /// * no unit can meet two constraints together, or one controller leaves another without
    ///   effect,
    /// * a mode does not apply to the model, or
    /// * settings name a layer that does not exist.
    ///
    /// In a model of several layers the message begins with the layer.
    pub fn build(
        &self,
        layers: &[Option<ControlledLayer>],
        reference: bool,
    ) -> Result<StackControl, TrainError> {
        self.check_layers(Some(layers.len()))?;
        self.check_domains()?;
        let all = layers.iter().enumerate();
        let built =
            all.map(|(index, layer)| self.build_layer(layers.len(), index, *layer, reference));
        Ok(StackControl::new(built.collect::<Result<_, _>>()?))
    }

    /// The controllers of layer number `index` (from 0) of `depth`; `None` if there is nothing to
    /// control.
    ///
    /// # Errors
    /// Returns the errors of [`ControlConfig::build`].
    fn build_layer(
        &self,
        depth: usize,
        index: usize,
        layer: Option<ControlledLayer>,
        reference: bool,
    ) -> Result<Option<LayerControl>, TrainError> {
        let settings = self.of_layer(index + 1)?;
        let named = self.layer.iter().any(|own| own.layer == index + 1);
        let Some(layer) = layer else {
            check_units(&settings, None, named.then_some(index + 1))?;
            return Ok(None);
        };
        let layer = ControlledLayer { layer: index, reference, ..layer };
        settings.controllers_of(&layer).map_err(|error| match error {
            _ if depth == 1 => error,
            TrainError::Config(reason) => {
                TrainError::config(format!("layer {}: {reason}", index + 1))
            }
            other => other,
        })
    }

    /// Whether there are no controllers.
    pub(super) fn is_idle(&self) -> bool {
        self.mode == ControlName::None && self.controllers == ControllerSet::default()
    }

    fn controllers_of(&self, layer: &ControlledLayer) -> Result<Option<LayerControl>, TrainError> {
        if self.is_idle() {
            return Ok(None);
        }
        let own = self.in_nats_of_loss(layer.beta);
        check_units(&own, Some(layer), None)?;
        check_demands(&own, layer)?;
        let reference = layer.reference;
        let config = LayerControlConfig {
            beta: layer.beta,
            measures: if reference { UnitMeasures::Pooled } else { UnitMeasures::PerDimension },
            rescaling: if reference { Rescaling::Ignore } else { Rescaling::Follow },
            ..LayerControlConfig::default()
        };
        let mut control = LayerControl::new(layer.units, layer.latent_dims, config);
        if own.has_bands() {
            own.add_bands(&mut control, layer)?;
        }
        for name in ControllerName::ALL {
            if own.has(name) {
                own.add(name, &mut control, layer)?;
            }
        }
        Ok(Some(control))
    }

    pub(super) fn timing(&self) -> Timing {
        Timing { warmup: self.warmup_steps, every: self.every }
    }

    /// The energy bands that the settings describe.
    pub(super) fn energy_bands(&self, layer: &ControlledLayer) -> Result<EnergyBand, TrainError> {
        let single = if layer.reference { SingleUnit::LowEnd } else { SingleUnit::Centre };
        let shape = BandShape::Heterogeneous {
            spread: self.band_spread,
            shuffled: self.band_shuffle,
            single,
        };
        let band = BandConfig { target: self.band_target, shape, ..BandConfig::default() };
        EnergyBand::new(layer.units, &band).map_err(at_key("control", BAND_KEYS))
    }

    pub(super) fn thermostat(&self, reference: bool) -> ThermostatConfig {
        let sees = if reference { Sees::LastBatch } else { Sees::Period };
        ThermostatConfig { sees, ..self.thermostat }
    }

    fn add_bands(
        &self,
        control: &mut LayerControl,
        layer: &ControlledLayer,
    ) -> Result<(), TrainError> {
        let reference = layer.reference;
        let of_bands = at_key("control", BAND_KEYS);
        let of_control = at_key("control", HOMEOSTAT_KEYS);
        let base = self.energy_bands(layer)?;
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
            let calibration = BandCalibration::new(base, calibration).map_err(&of_bands)?;
            control.add(calibration, every).map_err(&of_control)?;
        }
        let thermostat = BetaThermostat::new(layer.units, self.thermostat(reference));
        let thermostat = thermostat.map_err(at_key("control.thermostat", &[]))?;
        control.add(thermostat, timing).map_err(&of_control)?;
        match self.mode {
            ControlName::Homeo => {
                let inside = if reference { InsideTarget::Geometric } else { InsideTarget::Energy };
                let homeostat = HomeostatConfig {
                    gain: self.homeostat_gain,
                    inside,
                    ..HomeostatConfig::default()
                };
                let homeostat = Homeostat::new(homeostat).map_err(&of_control)?;
                control.add(homeostat, timing).map_err(&of_control)?;
            }
            ControlName::ProjOn => {
                let weights = if reference { BatchWeights::Equal } else { BatchWeights::Rows };
                let projection = ProjectionConfig { weights, ..ProjectionConfig::default() };
                let projection = Projection::new(layer.units, projection).map_err(&of_control)?;
                control.add(projection, timing).map_err(&of_control)?;
            }
            _ => {}
        }
        if self.mode != ControlName::ProjOff {
            let guard = SigmaGuard::new(guard).map_err(&of_control)?;
            control.add(guard, timing).map_err(&of_control)?;
        }
        let ramp = Ramp { warmup, length: self.band_ramp_steps };
        let weight = BandWeight::new(self.band_weight, ramp, Some(FocusLow::default()));
        control.add(weight, Timing::ALWAYS).map_err(&of_control)?;
        Ok(())
    }
}
