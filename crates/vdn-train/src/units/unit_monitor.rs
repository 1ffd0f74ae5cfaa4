//! [`UnitMonitor`]: follows the layers of units from epoch to epoch.

use crate::config::DiagnosticsConfig;
use crate::error::TrainError;
use crate::evaluate::Validation;
use crate::network::Network;
use crate::units::diagnose::{diagnose, rate_given_past};
use crate::units::history::{EpochLayer, EpochLayers, EpochUnits};
use crate::units::probe::Probe;
use crate::units::unit_history::UnitHistory;
use vdn_model::controllers::{ControlState, StackControl};
use vdn_model::core::ModelError;
use vdn_model::diagnostics::{
    CollapseThresholds, Diagnostics, EpochView, HealthMonitor, HealthTrend,
};
use vdn_tensor::Element;

/// Monitors every layer with distributional units, from the encoder up.
#[derive(Debug)]
pub(crate) struct UnitMonitor {
    depth: usize,
    layers: Vec<LayerWatch>,
}

#[derive(Debug)]
struct LayerWatch {
    layer: usize,
    watch: HealthMonitor,
    history: UnitHistory,
}

impl UnitMonitor {
    /// # Errors
    /// Returns an error if the configured rates of living units contradict the rates that
    /// controllers hold.
    pub(crate) fn new<T: Element, N: Network<T>>(
        network: &N,
        config: &DiagnosticsConfig,
        control: &StackControl,
    ) -> Result<Self, TrainError> {
        let of = |layer: usize| {
            let own = network.layers()[layer];
            let units = own.distributional();
            let dims = units * own.latent_dims();
            let budget = config.budget(control.layer(layer), dims)?;
            let watch = HealthMonitor::new(CollapseThresholds::default(), budget);
            Ok::<_, TrainError>(LayerWatch { layer, watch, history: UnitHistory::new(units) })
        };
        let layers =
            network.distributional_layers().into_iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self { depth: network.layers().len(), layers })
    }

    /// Records a validated epoch. `measure` probes these layers if a probe is due.
    pub(crate) fn epoch<T: Element, N: Network<T>>(
        &mut self,
        network: &N,
        validation: &Validation,
        control: &StackControl,
        loss: f64,
        measure: impl FnOnce(&[Diagnostics]) -> Result<Option<Probe>, TrainError>,
    ) -> Result<EpochLayers, TrainError> {
        let diagnostics = diagnose(network, validation, control)?;
        if diagnostics.is_empty() {
            return Ok(EpochLayers::default());
        }
        let probe = measure(&diagnostics)?;
        let mut layers = Vec::with_capacity(diagnostics.len());
        let all = self.layers.iter_mut().zip(&validation.layers).zip(&diagnostics);
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
                layer: own.layer,
                count: diagnostics.units(),
                rate: summary.rate,
                mismatch: summary.mismatch,
                kl: summary.total_kl,
                units: EpochUnits::new(diagnostics, &living, drift, probe),
            });
        }
        Ok(EpochLayers::new(self.depth, layers, probe.as_ref().map(|probe| &probe.together)))
    }

    /// The trends of each layer up to the last epoch.
    pub(crate) fn seen(&self) -> Vec<HealthTrend> {
        self.layers.iter().map(|own| own.watch.seen().clone()).collect()
    }

    /// The monitored layers, each with its number, from 0, and the history of its units.
    pub(crate) fn histories(&self) -> impl Iterator<Item = (usize, &UnitHistory)> {
        self.layers.iter().map(|own| (own.layer, &own.history))
    }

    /// The same histories, to be filled with the records from before an interruption.
    pub(crate) fn histories_mut(&mut self) -> impl Iterator<Item = (usize, &mut UnitHistory)> {
        self.layers.iter_mut().map(|own| (own.layer, &mut own.history))
    }

    /// The state after the epochs so far, without the histories.
    pub(crate) fn state(&self) -> ControlState {
        let mut state = ControlState::new();
        for own in &self.layers {
            for (name, values) in own.watch.state().iter() {
                state.put(format!("layer{}.{name}", own.layer + 1), values);
            }
        }
        state
    }

    /// Restores a state of the same network.
    pub(crate) fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.layers.iter_mut().try_for_each(|own| {
            own.watch.restore(&state.within(&format!("layer{}.", own.layer + 1)))
        })
    }
}
