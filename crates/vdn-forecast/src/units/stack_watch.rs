//! [`StackWatch`]: the layers of units from epoch to epoch.

use crate::evaluate::validation::Evaluation;
use crate::forecaster::Forecaster;
use crate::train::history::{EpochLayer, EpochLayers, EpochUnits};
use crate::units::diagnose::{diagnose, rate_given_past};
use crate::units::probe::Probe;
use std::path::Path;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::{CollapseThresholds, Diagnostics, EpochView, Seen, Watch};
use vdn_train::DiagnosticsConfig;
use vdn_train::TrainError;
use vdn_train::{UnitHistory, layer_file};

/// Watches every layer with distributional units, from the encoder up.
#[derive(Debug)]
pub(crate) struct StackWatch {
    depth: usize,
    layers: Vec<LayerWatch>,
}

#[derive(Debug)]
struct LayerWatch {
    layer: usize,
    watch: Watch,
    history: UnitHistory,
}

impl StackWatch {
    /// # Errors
    /// The rates of living units that are configured do not go with what controllers hold.
    pub(crate) fn new(
        model: &Forecaster,
        config: &DiagnosticsConfig,
        control: &StackControl,
    ) -> Result<Self, TrainError> {
        let of = |layer: usize| {
            let units = model.stack().layers()[layer].config().distributional();
            let dims = units * model.config().latent_dims;
            let budget = config.budget(control.layer(layer), dims)?;
            let watch = Watch::new(CollapseThresholds::default(), budget);
            Ok::<_, TrainError>(LayerWatch { layer, watch, history: UnitHistory::new(units) })
        };
        let layers = model.distributional_layers().into_iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self { depth: model.config().depth, layers })
    }

    /// Takes in a validated epoch. `measure` makes a probe, if one is due, of these layers.
    pub(crate) fn epoch(
        &mut self,
        model: &Forecaster,
        evaluation: &Evaluation,
        control: &StackControl,
        loss: f64,
        measure: impl FnOnce(&[Diagnostics]) -> Result<Option<Probe>, TrainError>,
    ) -> Result<EpochLayers, TrainError> {
        let diagnostics = diagnose(model, evaluation, control)?;
        if diagnostics.is_empty() {
            return Ok(EpochLayers::default());
        }
        let probe = measure(&diagnostics)?;
        let mut layers = Vec::with_capacity(diagnostics.len());
        let all = self.layers.iter_mut().zip(&evaluation.layers).zip(&diagnostics);
        for (place, ((own, seen), diagnostics)) in all.enumerate() {
            let probe = probe.as_ref().and_then(|probe| probe.layers.get(place));
            let control = control.layer(own.layer);
            let left = rate_given_past(control, diagnostics.latent_dims, probe);
            let living = own.watch.epoch(&EpochView {
                statistics: &seen.statistics,
                diagnostics,
                loss,
                rate_given_past: left.as_deref(),
                unit_use: probe.map(|probe| &probe.unit_use),
            });
            let drift = own.watch.seen().drift.as_deref();
            own.history.push(diagnostics, &living, drift);
            let summary = diagnostics.summary();
            layers.push(EpochLayer {
                layer: own.layer + 1,
                count: diagnostics.units(),
                rate: summary.rate,
                mismatch: summary.mismatch,
                kl: summary.total_kl,
                units: EpochUnits::new(diagnostics, &living, drift, probe),
            });
        }
        Ok(EpochLayers::new(self.depth, layers, probe.as_ref().map(|probe| &probe.together)))
    }

    /// What the last epoch showed of each layer beside those before it.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.layers.iter().map(|own| own.watch.seen().clone()).collect()
    }

    /// Writes every unit in every epoch so far, each layer to the file that [`layer_file`] makes of `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TrainError> {
        let mut written = self.layers.iter().filter(|own| own.history.epochs() > 0);
        written.try_for_each(|own| own.history.write(&layer_file(path, own.layer + 1, self.depth)))
    }
}
