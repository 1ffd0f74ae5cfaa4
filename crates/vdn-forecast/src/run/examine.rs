//! What became of the units of a run's weights: measured and judged on the validation windows, their worth on the test
//! windows, and written.

use crate::evaluate::validation::validate_under;
use crate::forecaster::Forecaster;
use crate::run::directory::RunDirectory;
use crate::run::experiment::Experiment;
use crate::train::history::read_losses;
use crate::units::diagnose::{diagnose, unit_costs};
use crate::units::layer_reports::{LayerReport, LayerReports};
use crate::units::layer_use::layer_use;
use crate::units::unit_report::{LayerUnits, UnitReport, write_units};
use crate::units::verdict::{Judge, LayerVerdict};
use std::path::Path;
use vdn_model::Parameters;
use vdn_model::controllers::{ControlState, StackControl};
use vdn_model::diagnostics::{CollapseThresholds, Seen};
use vdn_train::TrainError;
use vdn_train::{UnitHistory, layer_file};

impl Experiment {
    /// The controllers of the layers, in this state.
    pub(crate) fn controllers(
        &self,
        model: &Forecaster,
        state: Option<&ControlState>,
    ) -> Result<StackControl, TrainError> {
        let config = &self.config;
        let mut controllers =
            config.control.build(&model.config().controlled_layers(), config.is_reference())?;
        if let Some(state) = state {
            controllers.restore(state)?;
        }
        Ok(controllers)
    }

    /// What became of the units of trained weights, on the validation windows, and what they bring to the forecasts of the test
    /// windows; `None` without distributional units.
    /// `control` is the controllers' state that belongs to the weights, `seen` what training saw of the units of each layer
    /// from epoch to epoch; every unit is written to `file`, if there is one.
    pub(crate) fn examine(
        &self,
        model: &Forecaster,
        parameters: &Parameters<f32>,
        control: Option<&ControlState>,
        seen: &[Seen],
        file: Option<&Path>,
    ) -> Result<Option<LayerReports>, TrainError> {
        let (config, depth) = (&self.config, model.config().depth);
        let controllers = self.controllers(model, control)?;
        let (noise, averages) = (config.train.noise(), config.train.averages());
        let judge = Judge {
            noise,
            averages,
            diagnostics: &config.diagnostics,
            control: &controllers,
            seen,
        };
        let windows = &self.data.splits().validation;
        let mut found = judge.verdicts(model, parameters, &self.data, windows)?;
        if found.layers.is_empty() {
            return Ok(None);
        }
        if found.together.is_some() {
            // Once training is over: what the units bring to the forecasts that the run is scored by.
            let test = &self.data.splits().test;
            let on_test =
                validate_under(model, parameters, &self.data, test, noise, averages, &controllers)?;
            let on_test = diagnose(model, &on_test, &controllers)?;
            let worth =
                |layer, kl| layer_use(model, parameters, &self.data, test, noise, layer, kl);
            let kl: Vec<f64> = on_test.iter().map(|own| unit_costs(own).iter().sum()).collect();
            let together = worth(None, kl.iter().sum())?;
            found.together = Some(together);
            for (own, kl) in found.layers.iter_mut().zip(kl) {
                let Some(probe) = &mut own.probe else { continue };
                probe.worth = if depth == 1 { together } else { worth(Some(own.layer), kl)? };
            }
        }
        if let Some(file) = file {
            let unseen = Seen::default();
            let layers = found.layers.iter().enumerate().map(|(place, own)| LayerUnits {
                layer: (depth > 1).then_some(own.layer + 1),
                diagnostics: &own.diagnostics,
                living: &own.living,
                seen: seen.get(place).unwrap_or(&unseen),
                probe: own.probe.as_ref(),
            });
            write_units(file, &layers.collect::<Vec<_>>())?;
        }
        let report = |own: &LayerVerdict| {
            let LayerVerdict { layer, diagnostics, living, budget, probe } = own;
            let units = UnitReport::new(diagnostics, living, budget, probe.as_ref());
            LayerReport { layer: layer + 1, units }
        };
        let layers = found.layers.iter().map(report).collect();
        Ok(Some(LayerReports { depth, layers, together: found.together }))
    }
}

/// What training saw of the units of each layer from epoch to epoch, up to the weights that were kept; nothing where a run
/// has no such files.
pub(crate) fn stored_seen(run: &RunDirectory, model: &Forecaster) -> Result<Vec<Seen>, TrainError> {
    let history = run.history(false);
    let losses = if history.exists() { read_losses(&history)? } else { None };
    let thresholds = CollapseThresholds::default();
    let of = |layer: usize| {
        let file = layer_file(&run.units(false), layer + 1, model.config().depth);
        let Some((losses, best)) = losses.as_ref().filter(|_| file.exists()) else {
            return Ok(Seen::default());
        };
        let units = model.stack().layers()[layer].units().map_or(0, |own| own.config().units);
        Ok(UnitHistory::read_of(&file, units)?.seen(*best, losses, &thresholds))
    };
    model.distributional_layers().into_iter().map(of).collect()
}
