//! [`HealthMonitor`]: monitors a layer from epoch to epoch: drift, growth, and which units are
//! living.
//!
//! One pass over the data shows neither drift nor growth. The monitor keeps the statistics of the
//! previous epoch, the losses and drifts of the last few epochs, and the energies and KLs of a few
//! more. After each epoch it computes the trend ([`HealthTrend`]) and judges the units with it. Its
//! state is part of checkpoints, so a resumed run judges as an uninterrupted one does.

use crate::core::error::ModelError;
use crate::core::state::ControlState;
use crate::diagnostics::collapse::{CollapseThresholds, HealthEvidence};
use crate::diagnostics::drift::drift;
use crate::diagnostics::living::{Living, UnitBudget};
use crate::diagnostics::measures::Diagnostics;
use crate::diagnostics::unit_use::UnitUse;
use crate::units::statistics::UnitStatistics;
use std::collections::VecDeque;

/// The measures of a layer in one epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochView<'a> {
    /// The statistics, over the same windows in every epoch.
    pub statistics: &'a UnitStatistics,
    /// The measures computed from the statistics.
    pub diagnostics: &'a Diagnostics,
    /// The training loss in nats per time step.
    pub loss: f64,
    /// The rate that the past leaves, `[units]`, if the layer has an autoregressive prior or
    /// penalty.
    pub rate_given_past: Option<&'a [f64]>,
    /// The downstream use of the units, if it was measured.
    pub unit_use: Option<&'a UnitUse>,
}

/// The measures of a layer that need several epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthTrend {
    /// The drift of each unit since the previous epoch in nats per latent dimension; `None` in the
    /// first epoch.
    pub drift: Option<Vec<f64>>,
    /// The mean drift over the last [`CollapseThresholds::drift_epochs`]; `None` until that many
    /// have passed.
    pub mean_drift: Option<Vec<f64>>,
    /// The change of the training loss over those epochs in nats per time step; `None` until that
    /// many have passed.
    pub loss_change: Option<f64>,
    /// Whether each unit's energy or KL grew by [`CollapseThresholds::growth`] in each of the last
    /// [`CollapseThresholds::growth_epochs`]; `None` until that many have passed.
    pub growing: Option<Vec<bool>>,
}

impl HealthTrend {
    /// Returns the trend as evidence, together with the measures of the same epoch.
    #[must_use]
    pub fn evidence<'a>(&'a self, diagnostics: &'a Diagnostics) -> HealthEvidence<'a> {
        HealthEvidence {
            drift: self.mean_drift.as_deref(),
            loss_change: self.loss_change,
            growing: self.growing.as_deref(),
            ..HealthEvidence::new(diagnostics)
        }
    }

    /// Writes the known measures under names that begin with `prefix`.
    pub fn save(&self, prefix: &str, state: &mut ControlState) {
        let growing = self.growing.as_ref();
        let growing = growing.map(|all| all.iter().map(|&g| f64::from(u8::from(g))).collect());
        let loss_change = self.loss_change.map(|change| vec![change]);
        for (name, values) in [
            ("drift", self.drift.clone()),
            ("mean_drift", self.mean_drift.clone()),
            ("loss_change", loss_change),
            ("growing", growing),
        ] {
            if let Some(values) = values {
                state.put(format!("{prefix}{name}"), &values);
            }
        }
    }

    /// Reads the measures that [`HealthTrend::save`] wrote; an absent entry gives `None`.
    #[must_use]
    pub fn load(prefix: &str, state: &ControlState) -> Self {
        let of = |name: &str| state.values(&format!("{prefix}{name}")).ok().map(<[f64]>::to_vec);
        Self {
            drift: of("drift"),
            mean_drift: of("mean_drift"),
            loss_change: of("loss_change").and_then(|change| change.first().copied()),
            growing: of("growing").map(|all| all.iter().map(|&g| g != 0.0).collect()),
        }
    }
}

/// The energies and KLs of one epoch.
#[derive(Clone, Debug)]
struct Level {
    energy: Vec<f64>,
    kl: Vec<f64>,
}

/// Monitors one layer from epoch to epoch.
///
/// ```
/// use vdn_model::diagnostics::{
///     CollapseThresholds, Diagnostics, EpochView, HealthMonitor, LayerContext, RowCounts,
///     UnitBudget,
/// };
/// use vdn_model::units::UnitStatistics;
/// let mut watch = HealthMonitor::new(CollapseThresholds::default(), UnitBudget::default());
/// for (mean, loss) in [(0.0_f64, 0.9), (0.1, 0.8)] {
///     let mut statistics = UnitStatistics::new();
///     statistics.merge(32, &[mean], &[0.4], &[0.0], &[0.0]);
///     let context = LayerContext {
///         label: "layer", latent_dims: 1, beta: &[1e-4], band: None, prior_variance: &[],
///     };
///     let diagnostics = Diagnostics::new(&statistics, &RowCounts::new(1, 1), &context)?;
///     let living = watch.epoch(&EpochView {
///         statistics: &statistics, diagnostics: &diagnostics, loss, rate_given_past: None, unit_use: None,
///     });
///     assert_eq!(living.to_string(), "1 of 1 units living");
/// }
/// assert!((watch.seen().drift.as_ref().unwrap()[0] - 0.01 / 2.8).abs() < 1e-12);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HealthMonitor {
    thresholds: CollapseThresholds,
    budget: UnitBudget,
    before: Option<UnitStatistics>,
    losses: VecDeque<f64>,
    drifts: VecDeque<Vec<f64>>,
    levels: VecDeque<Level>,
    seen: HealthTrend,
}

impl HealthMonitor {
    /// Creates a monitor with these thresholds and this budget.
    #[must_use]
    pub fn new(thresholds: CollapseThresholds, budget: UnitBudget) -> Self {
        let (losses, drifts, levels) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let seen = HealthTrend::default();
        Self { thresholds, budget, before: None, losses, drifts, levels, seen }
    }

    /// Takes in an epoch and judges its units. Drift is known from the second epoch on, growth
    /// after [`CollapseThresholds::growth_epochs`] epochs.
    pub fn epoch(&mut self, view: &EpochView<'_>) -> Living {
        let k = view.diagnostics.latent_dims;
        self.levels.push_back(Level {
            energy: view.diagnostics.energy.clone(),
            kl: view.diagnostics.kl.clone(),
        });
        if self.levels.len() > self.thresholds.growth_epochs + 1 {
            self.levels.pop_front();
        }
        let drift = self.before.as_ref().and_then(|before| drift(view.statistics, before, k));
        self.losses.push_back(view.loss);
        if let Some(drift) = &drift {
            self.drifts.push_back(drift.clone());
        }
        let epochs = self.thresholds.drift_epochs.max(1);
        while self.losses.len() > epochs + 1 {
            self.losses.pop_front();
        }
        while self.drifts.len() > epochs {
            self.drifts.pop_front();
        }
        let units = view.diagnostics.units();
        let mean = |unit| self.drifts.iter().map(|drift| drift[unit]).sum::<f64>() / epochs as f64;
        self.seen = HealthTrend {
            drift,
            mean_drift: (self.drifts.len() == epochs).then(|| (0..units).map(mean).collect()),
            loss_change: (self.losses.len() > epochs).then(|| view.loss - self.losses[0]),
            growing: self.growing(units),
        };
        self.before = Some(view.statistics.clone());
        let evidence = HealthEvidence {
            rate_given_past: view.rate_given_past,
            unit_use: view.unit_use,
            ..self.seen.evidence(view.diagnostics)
        };
        Living::new(&evidence, &self.thresholds, &self.budget)
    }

    /// Returns the trend at the last epoch.
    #[must_use]
    pub fn seen(&self) -> &HealthTrend {
        &self.seen
    }

    /// Returns the thresholds.
    #[must_use]
    pub fn thresholds(&self) -> &CollapseThresholds {
        &self.thresholds
    }

    /// Returns the budget of a living unit.
    #[must_use]
    pub fn budget(&self) -> &UnitBudget {
        &self.budget
    }

    /// Returns the state of the monitor, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> ControlState {
        let mut state = ControlState::new();
        if let Some(before) = &self.before {
            before.save("before.", &mut state);
        }
        let losses: Vec<f64> = self.losses.iter().copied().collect();
        state.put("losses", &losses);
        for (index, drift) in self.drifts.iter().enumerate() {
            state.put(format!("drift{index}"), drift);
        }
        for (index, level) in self.levels.iter().enumerate() {
            state.put(format!("energy{index}"), &level.energy);
            state.put(format!("kl{index}"), &level.kl);
        }
        self.seen.save("seen.", &mut state);
        state
    }

    /// Restores a state of the same layer.
    ///
    /// # Errors
    /// Fails if an entry is missing.
    pub fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        let all = |name: &str| {
            let of = |index: usize| state.values(&format!("{name}{index}")).ok();
            (0..).map_while(of).map(<[f64]>::to_vec).collect::<Vec<_>>()
        };
        self.before = match state.values("before.rows") {
            Ok(_) => Some(UnitStatistics::load("before.", state)?),
            Err(_) => None,
        };
        self.losses = state.values("losses")?.iter().copied().collect();
        self.drifts = all("drift").into();
        let levels = all("energy").into_iter().zip(all("kl"));
        self.levels = levels.map(|(energy, kl)| Level { energy, kl }).collect();
        self.seen = HealthTrend::load("seen.", state);
        Ok(())
    }

    /// Returns whether each unit's energy or KL grew by the threshold's factor in each of the last
    /// epochs, or `None` until that many have passed.
    fn growing(&self, units: usize) -> Option<Vec<bool>> {
        let epochs = self.thresholds.growth_epochs;
        if epochs == 0 || self.levels.len() <= epochs {
            return None;
        }
        let grew = |of: &dyn Fn(&Level) -> &[f64], unit: usize| {
            let levels = self.levels.iter().map(|level| of(level).get(unit).copied());
            self.thresholds.grew(&levels.map(Option::unwrap_or_default).collect::<Vec<_>>())
        };
        let either = |unit| grew(&|level| &level.energy, unit) || grew(&|level| &level.kl, unit);
        Some((0..units).map(either).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{CollapseMode, LayerContext, RowCounts};

    fn show(watch: &mut HealthMonitor, mean: f64, spread: f64, loss: f64) -> Living {
        let mut statistics = UnitStatistics::new();
        statistics.merge(32, &[mean], &[spread], &[0.0], &[0.0]);
        let context = LayerContext {
            label: "layer",
            latent_dims: 1,
            beta: &[0.0],
            band: None,
            prior_variance: &[],
        };
        let diagnostics = Diagnostics::new(&statistics, &RowCounts::new(1, 1), &context).unwrap();
        watch.epoch(&EpochView {
            statistics: &statistics,
            diagnostics: &diagnostics,
            loss,
            rate_given_past: None,
            unit_use: None,
        })
    }

    fn watch() -> HealthMonitor {
        HealthMonitor::new(CollapseThresholds::default(), UnitBudget::default())
    }

    #[test]
    fn growth_in_every_epoch_is_an_explosion_and_settling_is_not() {
        let mut growing = watch();
        let modes: Vec<usize> = [0.4, 0.7, 1.2, 2.0]
            .iter()
            .map(|&spread| show(&mut growing, 0.0, spread, 0.0).in_mode(CollapseMode::Explosion))
            .collect();
        assert_eq!(modes, [0, 0, 0, 1]);
        let mut settling = watch();
        for spread in [0.4, 0.7, 1.2, 1.3, 1.4] {
            let living = show(&mut settling, 0.0, spread, 0.0);
            assert_eq!(living.in_mode(CollapseMode::Explosion), 0, "{spread}");
        }
    }

    #[test]
    fn moving_under_a_constant_loss_is_drift_and_learning_is_not() {
        // The means move to and fro by 0.3: 0.09 / (2 * 1.4) nats per epoch.
        let judged = |losses: &[f64]| -> Vec<usize> {
            let mut watch = watch();
            let epochs = losses.iter().enumerate().map(|(epoch, &loss)| {
                let living = show(&mut watch, 0.3 * (epoch % 2) as f64, 0.4, loss);
                living.in_mode(CollapseMode::Drift)
            });
            let judged = epochs.collect();
            assert!((watch.seen().drift.as_ref().unwrap()[0] - 0.09 / 2.8).abs() < 1e-12);
            judged
        };
        assert_eq!(judged(&[1.0, 1.002, 0.998, 1.001, 1.0]), [0, 0, 0, 1, 1]);
        assert_eq!(judged(&[1.0, 0.996, 0.992, 0.988, 0.984]), [0; 5], "the loss falls");
        // A single fast epoch among slow ones is no drift.
        let mut settling = watch();
        for mean in [0.0, 0.0, 0.0, 0.2, 0.2, 0.2] {
            let living = show(&mut settling, mean, 0.4, 1.0);
            assert_eq!(living.to_string(), "1 of 1 units living");
        }
    }
}
