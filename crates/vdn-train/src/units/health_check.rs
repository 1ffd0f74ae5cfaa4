//! [`HealthCheck`]: the living units of trained weights, and the reasons why the others do not
//! live.

use crate::config::DiagnosticsConfig;
use crate::data::Examples;
use crate::error::TrainError;
use crate::evaluate::{Evaluator, Validation};
use crate::network::Network;
use crate::units::diagnose::{diagnose, rate_given_past};
use crate::units::interventions::Interventions;
use crate::units::layer_use::LayerUse;
use crate::units::probe::{LayerProbe, Probe};
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::{
    CollapseThresholds, Diagnostics, HealthEvidence, HealthTrend, Living, UnitBudget,
};
use vdn_tensor::Element;

/// The settings by which units are judged.
///
/// A network with [`Interventions`] is judged by [`HealthCheck::report`], which includes
/// interventions on single units. Any other network is judged by
/// [`HealthCheck::report_by_measures`], by its internal measures alone; then the mode `unused` is
/// not detected.
#[derive(Clone, Copy, Debug)]
pub struct HealthCheck<'a> {
    /// The examples, samples and units of interventions, and the rate interval of a living unit.
    pub diagnostics: &'a DiagnosticsConfig,
    /// The controllers in their state at the epoch of the weights.
    pub control: &'a StackControl,
    /// The trends of each layer's units over the epochs of training; empty if unknown.
    pub seen: &'a [HealthTrend],
}

/// The health of the units of a model.
#[derive(Clone, Debug, Default)]
pub struct HealthReport {
    /// The layers with distributional units, from the encoder up.
    pub layers: Vec<LayerHealth>,
    /// The value and cost of all units on the probe windows; `None` without a probe.
    pub together: Option<LayerUse>,
}

/// The health of the units of a layer.
#[derive(Clone, Debug)]
pub struct LayerHealth {
    /// The number of the layer, from 0.
    pub layer: usize,
    /// The internal measures.
    pub diagnostics: Diagnostics,
    /// The living units, and the reasons why the others do not live.
    pub living: Living,
    /// The interval of rates of a living unit.
    pub budget: UnitBudget,
    /// The results of the probe, including interventions on single units; `None` without a probe.
    pub probe: Option<LayerProbe>,
}

impl HealthCheck<'_> {
    /// Judges every unit by its internal measures on these examples.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a score is not finite.
    pub fn report_by_measures<T, N, D>(
        &self,
        evaluator: &Evaluator<'_, T, N, D>,
        examples: &[D::Index],
    ) -> Result<HealthReport, TrainError>
    where
        T: Element,
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    {
        let validation = evaluator.validate(examples, self.control)?;
        let diagnostics = diagnose(evaluator.network, &validation, self.control)?;
        self.judge(&validation, diagnostics, None)
    }

    /// Judges every unit by its internal measures on all `examples`, and by interventions on
    /// [`DiagnosticsConfig::windows`] of them. These are evenly spaced; the standard errors come
    /// from blocks.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a prediction is not finite.
    pub fn report<T, N, D>(
        &self,
        evaluator: &Evaluator<'_, T, N, D>,
        examples: &[D::Index],
    ) -> Result<HealthReport, TrainError>
    where
        T: Element,
        N: Interventions<T, D>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    {
        let validation = evaluator.validate(examples, self.control)?;
        let diagnostics = diagnose(evaluator.network, &validation, self.control)?;
        let probe = evaluator.probe(examples, self.diagnostics, &diagnostics)?;
        self.judge(&validation, diagnostics, probe)
    }

    fn judge(
        &self,
        validation: &Validation,
        diagnostics: Vec<Diagnostics>,
        probe: Option<Probe>,
    ) -> Result<HealthReport, TrainError> {
        let Self { diagnostics: settings, control, seen } = *self;
        let together = probe.as_ref().map(|probe| probe.together);
        let mut probes = probe.map_or_else(Vec::new, |probe| probe.layers).into_iter();
        let unseen = HealthTrend::default();
        let of = |(place, diagnostics): (usize, Diagnostics)| {
            let layer = validation.layers[place].layer;
            let (own, probe) = (control.layer(layer), probes.next());
            let left = rate_given_past(own, diagnostics.latent_dims, probe.as_ref());
            let evidence = HealthEvidence {
                rate_given_past: left.as_deref(),
                unit_use: probe.as_ref().map(|probe| &probe.unit_use),
                ..seen.get(place).unwrap_or(&unseen).evidence(&diagnostics)
            };
            let budget = settings.budget(own, diagnostics.units() * diagnostics.latent_dims)?;
            let living = Living::new(&evidence, &CollapseThresholds::default(), &budget);
            Ok(LayerHealth { layer, diagnostics, living, budget, probe })
        };
        let layers = diagnostics.into_iter().enumerate().map(of);
        let layers = layers.collect::<Result<Vec<_>, TrainError>>()?;
        Ok(HealthReport { layers, together })
    }
}
