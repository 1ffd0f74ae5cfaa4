//! The diagnostics part of a configuration: the measurements of units on a probe set, their
//! schedule, and the definition of living units.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{Goal, LayerControl, Scope};
use vdn_model::diagnostics::UnitBudget;

/// The relative tolerance of a rate target: 95 % of the units have to be within this share of it.
const TARGET_TOLERANCE: f64 = 0.2;

/// The measurements of units on a probe set, and their schedule. Measurements that follow from the
/// fused statistics of the validation pass are always available.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosticsConfig {
    /// The number of epochs from one probe to the next; default 0: a single probe after training.
    pub every: usize,
    /// The number of windows in the probe set, evenly spaced over the validation windows; default
    /// 128. 0 disables the probe.
    pub windows: usize,
    /// The number of latent samples per window in interventions on single units, at least 2;
    /// default 4.
    pub samples: usize,
    /// The number of units of the last layer that get interventions, evenly spaced; default 0: all
    /// of them.
    pub units: usize,
    /// The number of units of each lower layer that get interventions; default 32. Each of them
    /// costs passes of the layers above. 0 disables them.
    pub units_below: usize,
    /// The lowest rate of a living unit, in nats per latent dimension, finite and at least 0.
    /// Default: none, for 0.05 or a value that follows from the rate control.
    pub rate_low: Option<f64>,
    /// The highest rate of a living unit, at least `rate_low`. Default: none, for 0.30 or a value
    /// that follows from the rate control. `inf` means no upper end.
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
    /// Returns an error that names the first wrong value.
    pub fn validate(&self) -> Result<(), TrainError> {
        if self.samples < 2 {
            // A variance over samples needs two.
            let samples = self.samples;
            return Err(TrainError::config(format!(
                "diagnostics.samples = {samples}: has to be at least 2"
            )));
        }
        if let Some(low) = self.rate_low.filter(|&x| !(x >= 0.0 && x.is_finite())) {
            let reason = format!("diagnostics.rate_low = {low}: has to be at least 0 and finite");
            return Err(TrainError::config(reason));
        }
        if let Some(high) = self.rate_high.filter(|x| x.is_nan() || *x < 0.0) {
            let reason = format!("diagnostics.rate_high = {high}: has to be at least 0");
            return Err(TrainError::config(reason));
        }
        if let (Some(low), Some(high)) = (self.rate_low, self.rate_high)
            && low > high
        {
            return Err(TrainError::config(format!(
                "diagnostics.rate_low = {low}: has to be at most rate_high, {high}"
            )));
        }
        Ok(())
    }

    /// Whether the probe set is measured after this epoch, counted from 1.
    #[must_use]
    pub fn is_due(&self, epoch: usize) -> bool {
        self.windows > 0 && self.every > 0 && epoch.is_multiple_of(self.every)
    }

    /// The interval of rates of a living unit, in a layer with `dims` latent dimensions.
    ///
    /// * Configured ends take precedence.
    /// * Otherwise the interval is [0.05, 0.30].
    /// * If a controller holds the rate outside of that, the interval is the one that it holds, or
    ///   within 20 % of its target.
    /// * If a controller holds the rate of the whole layer, its units may share the rate in any
    ///   way. The lower end is then at most an equal share of the layer's least rate, and the upper
    ///   end at least the layer's largest rate.
    ///
    /// # Errors
    /// Returns an error if one end is configured and lies beyond the other end, which is not
    /// configured.
    pub fn budget(
        &self,
        control: Option<&LayerControl>,
        dims: usize,
    ) -> Result<UnitBudget, TrainError> {
        let usual = UnitBudget::default();
        let constraint = control.and_then(|control| control.levers().objective.rate.as_ref());
        let held = constraint.map(|constraint| *constraint.config());
        let within = |goal: Goal| match goal {
            Goal::Target(c) => [c * (1.0 - TARGET_TOLERANCE), c * (1.0 + TARGET_TOLERANCE)],
            Goal::Interval(a, b) => [a, b],
        };
        let [low, high] = match held {
            Some(held) if held.scope == Scope::Layer => {
                let [a, b] = within(held.goal);
                [usual.low.min(a / dims.max(1) as f64), usual.high.max(b)]
            }
            Some(held) => match (within(held.goal), held.goal) {
                ([a, b], Goal::Interval(..)) if a >= usual.low && b <= usual.high => {
                    [usual.low, usual.high]
                }
                (bounds, _) => bounds,
            },
            None => [usual.low, usual.high],
        };
        let [low, high] = [self.rate_low.unwrap_or(low), self.rate_high.unwrap_or(high)];
        if low > high {
            let (given, other) = match self.rate_low {
                Some(_) => {
                    (format!("rate_low = {low}"), format!("at most {high}, where rate_high is"))
                }
                None => {
                    (format!("rate_high = {high}"), format!("at least {low}, where rate_low is"))
                }
            };
            return Err(TrainError::config(format!("diagnostics.{given}: has to be {other}")));
        }
        Ok(UnitBudget { low, high, ..usual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BudgetConfig, ControlConfig, ControlledLayer};
    use vdn_model::controllers::{ConstraintConfig, LayerControlConfig, RateBudget, Timing};
    use vdn_model::objective::Objective;
    use vdn_model::units::{LayerConfig, StackLayerConfig};

    fn held(goal: Goal) -> LayerControl {
        held_as(goal, Scope::Dimension)
    }

    fn held_as(goal: Goal, scope: Scope) -> LayerControl {
        let mut control = LayerControl::new(4, 1, LayerControlConfig::default());
        let budget = ConstraintConfig { goal, scope, ..ConstraintConfig::default() };
        control.add(RateBudget::new(4, budget).unwrap(), Timing::ALWAYS).unwrap();
        control
    }

    #[test]
    fn the_budget_follows_what_is_asked_for() {
        let config = DiagnosticsConfig::default();
        let of = |config: &DiagnosticsConfig, control: Option<&LayerControl>| {
            let budget = config.budget(control, 4).unwrap();
            [budget.low, budget.high]
        };
        assert_eq!(of(&config, None), [0.05, 0.30]);
        assert_eq!(of(&config, Some(&held(Goal::Interval(0.06, 0.28)))), [0.05, 0.30]);
        assert_eq!(of(&config, Some(&held(Goal::Interval(0.5, 2.0)))), [0.5, 2.0]);
        assert_eq!(of(&config, Some(&held(Goal::Target(1.0)))), [0.8, 1.2]);
        let own = DiagnosticsConfig { rate_low: Some(0.1), ..config };
        assert_eq!(of(&own, None), [0.1, 0.30]);
        // A layer as a whole: equal shares are 0.02 nats, and one unit may carry everything.
        let layer = held_as(Goal::Interval(0.08, 0.8), Scope::Layer);
        assert_eq!(of(&config, Some(&layer)), [0.02, 0.8]);
        let layer = held_as(Goal::Target(4.0), Scope::Layer);
        assert_eq!(of(&config, Some(&layer)), [0.05, 4.8]);
    }

    /// The interval that a controller holds is the interval by which the verdict judges. It is one
    /// setting with one default.
    #[test]
    fn the_held_interval_is_the_judged_one() {
        use vdn_model::controllers::ThermostatConfig;
        use vdn_model::objective::LIVING;
        let usual = UnitBudget::default();
        let thermostat = ThermostatConfig::default();
        assert_eq!([usual.low, usual.high], LIVING);
        assert_eq!(ConstraintConfig::default().goal.bounds(), LIVING);
        assert_eq!([thermostat.low, thermostat.high], LIVING);
        // Every default budget of a run aims at a narrower interval, so that rates on other rows
        // stay in the judged one.
        for own in [BudgetConfig::default(), BudgetConfig::of_bound()] {
            assert!(own.low > LIVING[0] && own.high < LIVING[1], "{own:?}");
        }
        // A run that sets only `control.rate` is judged by this interval.
        let control = ControlConfig {
            rate: BudgetConfig { low: 0.4, high: 0.9, ..BudgetConfig::default() },
            ..ControlConfig::default()
        };
        let layer = LayerConfig { inputs: 3, units: 4, ..LayerConfig::default() };
        let layer = StackLayerConfig { layer, ..StackLayerConfig::default() };
        let built = control.build(&[ControlledLayer::new(&layer, Objective::Vib, 0.01)], false);
        let built = built.unwrap();
        let judged = DiagnosticsConfig::default().budget(built.layer(0), 4).unwrap();
        assert_eq!([judged.low, judged.high], [0.4, 0.9]);
    }

    #[test]
    fn wrong_values_are_named() {
        let of = |config: DiagnosticsConfig| config.validate().unwrap_err().to_string();
        let config = DiagnosticsConfig::default();
        assert!(of(DiagnosticsConfig { samples: 1, ..config }).contains("diagnostics.samples = 1"));
        let crossed = DiagnosticsConfig { rate_low: Some(0.4), rate_high: Some(0.3), ..config };
        assert!(of(crossed).contains("diagnostics.rate_low = 0.4"));
        let not_finite = DiagnosticsConfig { rate_high: Some(f64::NAN), ..config };
        assert!(of(not_finite).contains("diagnostics.rate_high = NaN"));
        // One end alone is compared with the one that holds otherwise.
        let alone = DiagnosticsConfig { rate_low: Some(0.4), ..config };
        let error = alone.budget(None, 4).unwrap_err().to_string();
        assert!(error.contains("diagnostics.rate_low = 0.4: has to be at most 0.3"), "{error}");
        assert!(alone.budget(Some(&held(Goal::Interval(0.5, 2.0))), 4).is_ok());
        let alone = DiagnosticsConfig { rate_high: Some(0.01), ..config };
        let error = alone.budget(None, 4).unwrap_err().to_string();
        assert!(error.contains("diagnostics.rate_high = 0.01: has to be at least 0.05"), "{error}");
    }
}
