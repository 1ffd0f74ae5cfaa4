//! What became of the units of a run's weights: measured and judged on the validation windows, their worth on the test
//! windows, and written.

use crate::diagnose::{diagnose, rate_given_past, unit_costs};
use crate::error::TrainError;
use crate::experiment::Experiment;
use crate::history::read_losses;
use crate::layer_reports::{LayerReport, LayerReports};
use crate::layer_use::layer_use;
use crate::probe::probe;
use crate::run::RunDirectory;
use crate::unit_history::{UnitHistory, layer_file};
use crate::unit_report::{LayerUnits, UnitReport, write_units};
use crate::validation::validate_under;
use std::path::Path;
use vdn_model::controllers::{ControlState, StackControl};
use vdn_model::diagnostics::{CollapseThresholds, Evidence, Living, Seen};
use vdn_model::{Forecaster, Parameters};

impl Experiment {
    /// The controllers of the layers, in this state.
    pub(crate) fn controllers(
        &self,
        model: &Forecaster,
        state: Option<&ControlState>,
    ) -> Result<StackControl, TrainError> {
        let config = &self.config;
        let mut controllers = config.control.build(model.config(), config.is_reference())?;
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
        let windows = &self.data.splits().validation;
        let (noise, averages) = (config.train.noise(), config.train.averages());
        let validation =
            validate_under(model, parameters, &self.data, windows, noise, averages, &controllers)?;
        let diagnostics = diagnose(model, &validation, &controllers)?;
        if diagnostics.is_empty() {
            return Ok(None);
        }
        let settings = &config.diagnostics;
        let mut probe = probe(model, parameters, &self.data, noise, settings, &diagnostics)?;
        if let Some(probe) = &mut probe {
            // Once training is over: what the units bring to the forecasts that the run is scored by.
            let test = &self.data.splits().test;
            let on_test =
                validate_under(model, parameters, &self.data, test, noise, averages, &controllers)?;
            let on_test = diagnose(model, &on_test, &controllers)?;
            let worth =
                |layer, kl| layer_use(model, parameters, &self.data, test, noise, layer, kl);
            let kl: Vec<f64> = on_test.iter().map(|own| unit_costs(own).iter().sum()).collect();
            probe.together = worth(None, kl.iter().sum())?;
            for (own, kl) in probe.layers.iter_mut().zip(kl) {
                own.worth = if depth == 1 { probe.together } else { worth(Some(own.layer), kl)? };
            }
        }
        let unseen = Seen::default();
        let mut judged = Vec::with_capacity(diagnostics.len());
        for (place, own) in diagnostics.iter().enumerate() {
            let layer = validation.layers[place].layer;
            let probe = probe.as_ref().and_then(|probe| probe.layers.get(place));
            let seen = seen.get(place).unwrap_or(&unseen);
            let control = controllers.layer(layer);
            let left = rate_given_past(control, own.latent_dims, probe);
            let evidence = Evidence {
                rate_given_past: left.as_deref(),
                unit_use: probe.map(|probe| &probe.unit_use),
                ..seen.evidence(own)
            };
            let dims = own.units() * own.latent_dims;
            let budget = settings.budget(control, dims)?;
            let living = Living::new(&evidence, &CollapseThresholds::default(), &budget);
            let units = UnitReport::new(own, &living, &budget, probe);
            judged.push((LayerReport { layer: layer + 1, units }, living, seen, probe));
        }
        if let Some(file) = file {
            let all = judged.iter().zip(&diagnostics);
            let layers = all.map(|((report, living, seen, probe), diagnostics)| LayerUnits {
                layer: (depth > 1).then_some(report.layer),
                diagnostics,
                living,
                seen,
                probe: *probe,
            });
            write_units(file, &layers.collect::<Vec<_>>())?;
        }
        let layers = judged.into_iter().map(|(report, ..)| report).collect();
        let together = probe.as_ref().map(|probe| probe.together);
        Ok(Some(LayerReports { depth, layers, together }))
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
        Ok(UnitHistory::read(&file)?.seen(*best, losses, &thresholds))
    };
    model.distributional_layers().into_iter().map(of).collect()
}
