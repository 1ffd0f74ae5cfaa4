//! The diagnostics part of a configuration: what is measured of the units on a probe set, how often, and which units
//! count as living.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{Goal, LayerControl, Scope};
use vdn_model::diagnostics::UnitBudget;

/// A target for the rate is met by rates within this share of it (95 % of the units are to be).
const TARGET_TOLERANCE: f64 = 0.2;

/// What is measured of the units on a probe set, and how often. What follows from the fused statistics of the validation
/// pass is always there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosticsConfig {
    /// Epochs from one probe to the next; 0: only once training is over.
    pub every: usize,
    /// Windows of the probe set, evenly spaced over the validation windows; 0: no probe at all.
    pub windows: usize,
    /// Samples of the latent for each window in interventions on single units.
    pub samples: usize,
    /// So many units, evenly spaced over the last layer, get interventions; 0: all.
    pub units: usize,
    /// So many units of each layer below it: every one costs passes of the layers above; 0: none.
    pub units_below: usize,
    /// The least rate of a living unit in nats per latent dimension; left out: 0.05, or by the rate that is controlled.
    pub rate_low: Option<f64>,
    /// The largest; left out: 0.30, or by the rate that is controlled.
    pub rate_high: Option<f64>,
}

impl Default for DiagnosticsConfig {
    fn default() -> Self {
        Self {
            every: 0,
            windows: 128,
            samples: 4,
            units: 0,
            units_below: 32,
            rate_low: None,
            rate_high: None,
        }
    }
}

impl DiagnosticsConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that is wrong, named.
    pub fn validate(&self) -> Result<(), TrainError> {
        if self.samples < 2 {
            // A variance over samples needs two.
            let samples = self.samples;
            return Err(TrainError::config(format!(
                "diagnostics.samples = {samples}: has to be at least 2"
            )));
        }
        let [low, high] = [self.rate_low.unwrap_or(0.0), self.rate_high.unwrap_or(f64::MAX)];
        if !(low >= 0.0 && low <= high) {
            return Err(TrainError::config(format!(
                "diagnostics.rate_low = {low}: has to be in [0, rate_high]"
            )));
        }
        Ok(())
    }

    /// Whether the probe set is measured after this epoch, counted from 1.
    #[must_use]
    pub fn is_due(&self, epoch: usize) -> bool {
        self.windows > 0 && self.every > 0 && epoch.is_multiple_of(self.every)
    }

    /// The rates of a living unit: as configured; else [0.05, 0.30]; else, where rates are held outside of that, what
    /// they are held to (a target within 20 %).
    #[must_use]
    pub fn budget(&self, control: Option<&LayerControl>) -> UnitBudget {
        let usual = UnitBudget::default();
        let constraint = control.and_then(|control| control.levers().objective.rate.as_ref());
        let held = constraint.filter(|c| c.config().scope == Scope::Dimension);
        let [low, high] = match held.map(|constraint| constraint.config().goal) {
            Some(Goal::Target(c)) => [c * (1.0 - TARGET_TOLERANCE), c * (1.0 + TARGET_TOLERANCE)],
            Some(Goal::Interval(a, b)) if a < usual.low || b > usual.high => [a, b],
            _ => [usual.low, usual.high],
        };
        UnitBudget {
            low: self.rate_low.unwrap_or(low),
            high: self.rate_high.unwrap_or(high),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_model::controllers::{ConstraintConfig, LayerControlConfig, RateBudget, Timing};

    fn held(goal: Goal) -> LayerControl {
        let mut control = LayerControl::new(4, 1, LayerControlConfig::default());
        let budget = ConstraintConfig { goal, ..ConstraintConfig::default() };
        control.add(RateBudget::new(4, budget).unwrap(), Timing::ALWAYS).unwrap();
        control
    }

    #[test]
    fn the_budget_follows_what_is_asked_for() {
        let config = DiagnosticsConfig::default();
        let of = |config: &DiagnosticsConfig, control: Option<&LayerControl>| {
            let budget = config.budget(control);
            [budget.low, budget.high]
        };
        assert_eq!(of(&config, None), [0.05, 0.30]);
        assert_eq!(of(&config, Some(&held(Goal::Interval(0.06, 0.28)))), [0.05, 0.30]);
        assert_eq!(of(&config, Some(&held(Goal::Interval(0.5, 2.0)))), [0.5, 2.0]);
        assert_eq!(of(&config, Some(&held(Goal::Target(1.0)))), [0.8, 1.2]);
        let own = DiagnosticsConfig { rate_low: Some(0.1), ..config };
        assert_eq!(of(&own, None), [0.1, 0.30]);
    }

    #[test]
    fn wrong_values_are_named() {
        let of = |config: DiagnosticsConfig| config.validate().unwrap_err().to_string();
        let config = DiagnosticsConfig::default();
        assert!(of(DiagnosticsConfig { samples: 1, ..config }).contains("diagnostics.samples = 1"));
        let crossed = DiagnosticsConfig { rate_low: Some(0.4), rate_high: Some(0.3), ..config };
        assert!(of(crossed).contains("diagnostics.rate_low = 0.4"));
    }
}
