//! The tables of `[control]`, one for each controller that can be added to a mode.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{
    AnnealingShape, ArShareConfig, ArShareRule, ConstraintConfig, GecoConfig, Goal,
    PersistenceConfig, Scope,
};
use vdn_model::objective::EarlierWindow;

/// `[control.rate]` and `[control.kl]`: an interval or a value, held by the method of multipliers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// The lower end of the interval in nats, finite and at least 0; default 0.08, and 0.1 in
    /// forecasting runs with a joint head.
    pub low: f64,
    /// The upper end of the interval in nats, at least `low`; default 0.27. `inf` means no upper
    /// end.
    pub high: f64,
    /// A value that replaces the interval, in nats, finite and at least 0; default: none.
    pub target: Option<f64>,
    /// The quantity that is held: the rate or KL of each latent `dimension` (the default), or its
    /// sum over the `layer`.
    pub scope: Scope,
    /// The stiffness of the penalty, in nats of loss per squared nat of the rate or KL, finite and
    /// above 0; default 0.05.
    pub stiffness: f64,
    /// The change of a multiplier in each action per nat of violation, in nats of loss per squared
    /// nat, finite and at least 0; default 0.01.
    pub gain: f64,
    /// The largest multiplier, in nats of loss per nat, finite and at least 0; default 0.05.
    pub limit: f64,
    /// Whether stiffness, gain and limit are relative to the weight of the layer's KL; default
    /// false: they are absolute, in nats of loss. The weight is the one that the KL has without a
    /// controller, or 0.005 if it is less.
    pub relative: bool,
}

/// The smallest weight that a budget is relative to. A smaller weight of the KL is a price and not
/// part of a bound. With this weight, the budget of a bound has the default's stiffness and gain.
pub(super) const LEAST_WEIGHT: f64 = 0.005;

impl Default for BudgetConfig {
    /// [0.08, 0.27] nats per latent dimension on the training windows. With it, the rates of most
    /// units stay on other windows in [0.05, 0.30], the interval of living units.
    fn default() -> Self {
        Self {
            low: 0.08,
            high: 0.27,
            target: None,
            scope: Scope::Dimension,
            stiffness: 5e-2,
            gain: 1e-2,
            limit: 5e-2,
            relative: false,
        }
    }
}

impl BudgetConfig {
    /// The budget for losses that are evidence lower bounds of any scale: [0.08, 0.25] nats, and,
    /// relative to the weight of the KL, a stiffness of 10, a gain of 2 and multipliers up to 20.
    ///
    /// A nat of information in a unit can raise the bound by several nats, which a multiplier must
    /// outweigh.
    ///
    /// ```
    /// use vdn_train::config::BudgetConfig;
    /// use vdn_train::train::Trainer;
    /// assert_eq!(Trainer::default().control.rate, BudgetConfig::of_bound());
    /// ```
    #[must_use]
    pub fn of_bound() -> Self {
        let (stiffness, gain, limit) = (10.0, 2.0, 20.0);
        Self { high: 0.25, stiffness, gain, limit, relative: true, ..Self::default() }
    }

    /// The controller's configuration in a layer whose KL has the weight `kl_weight`.
    pub(super) fn of_layer(&self, kl_weight: f64) -> ConstraintConfig {
        let own = self.constraint();
        if !self.relative {
            return own;
        }
        let scale = kl_weight.max(LEAST_WEIGHT);
        let [stiffness, gain, limit] = [own.stiffness, own.gain, own.limit].map(|x| x * scale);
        ConstraintConfig { stiffness, gain, limit, ..own }
    }

    /// The controller's configuration; ignores `relative`.
    #[must_use]
    pub fn constraint(&self) -> ConstraintConfig {
        ConstraintConfig {
            goal: self.target.map_or(Goal::Interval(self.low, self.high), Goal::Target),
            scope: self.scope,
            stiffness: self.stiffness,
            gain: self.gain,
            limit: self.limit,
        }
    }
}

/// `[control.persistence]`: a value or an interval for the autocorrelation `rho`, held by the
/// method of multipliers on `atanh rho`.
///
/// `rho` is the autocorrelation of the samples of a latent dimension between a window and the
/// window `data.stride` rows earlier.
///
/// ```toml
/// [control]
/// controllers = ["persistence"]
/// [control.persistence]
/// target = 0.3             # or low and high; there is no default
/// ```
///
/// Windows that are less than `input_len` rows apart share rows. Their `rho` is above the value
/// that a probe (`[diagnostics]`) measures, because a probe takes windows that share no rows.
///
/// Samples of two windows are drawn independently, so `abs(rho)` is at most `1 - exp(-2 rate)`. A
/// target that a budget of rate or KL makes impossible is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersistenceSettings {
    /// The lower end of the interval, in (-1, 1); default: none.
    pub low: Option<f64>,
    /// The upper end of the interval, in (-1, 1), at least `low`; default: none.
    pub high: Option<f64>,
    /// A value that replaces the interval, in (-1, 1); default: none.
    pub target: Option<f64>,
    /// The stiffness of the penalty, in nats of loss per time step and squared unit of `atanh rho`,
    /// finite and above 0; default 0.05.
    pub stiffness: f64,
    /// The change of a multiplier per unit of violation in each action, finite and at least 0;
    /// default 0.01.
    pub gain: f64,
    /// The largest multiplier, finite and at least 0; default 0.05.
    pub limit: f64,
}

impl Default for PersistenceSettings {
    /// Stiffness, gain and limit have the defaults of the rate budget.
    fn default() -> Self {
        let BudgetConfig { stiffness, gain, limit, .. } = BudgetConfig::default();
        Self { low: None, high: None, target: None, stiffness, gain, limit }
    }
}

impl PersistenceSettings {
    /// The value or interval that is held.
    ///
    /// # Errors
    /// Returns an error unless exactly one of them is given: a target, or both ends of an interval.
    fn goal(&self) -> Result<Goal, TrainError> {
        match (self.target, self.low, self.high) {
            (Some(target), None, None) => Ok(Goal::Target(target)),
            (None, Some(low), Some(high)) => Ok(Goal::Interval(low, high)),
            (Some(_), ..) => {
                let reason =
                    "control.persistence: target and low or high are given, one excludes the other";
                Err(TrainError::config(reason))
            }
            _ => {
                let reason =
                    "control.persistence: target, or low and high, has to be given, in (-1, 1)";
                Err(TrainError::config(reason))
            }
        }
    }

    pub(super) fn config(&self) -> Result<PersistenceConfig, TrainError> {
        let Self { stiffness, gain, limit, .. } = *self;
        Ok(PersistenceConfig { goal: self.goal()?, stiffness, gain, limit })
    }
}

/// `[control.ar]`: the autoregressive penalty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArConfig {
    /// The initial weight, finite and at least 0; default 1.
    pub weight: f64,
    /// The coefficient of the earlier window's means, in [-1, 1]; default 0.95.
    pub phi: f64,
    /// Whether the weight adapts to the penalty's share of the loss; default true.
    pub adapt: bool,
    /// The target for the penalty's share of the loss, in [0, 1); default 0.2.
    pub share: f64,
    /// The share above which the weight falls at twice the rate, finite and at least `share`;
    /// default 0.3. A value above 1 disables this.
    pub share_cap: f64,
    /// The change of the weight's logarithm per unit of share, finite and at least 0; default 0.1.
    pub gain: f64,
    /// The smallest weight that adapting can reach, finite and above 0; default 0.25.
    pub min: f64,
    /// The largest weight that adapting can reach, finite and at least `min`; default 10.
    pub max: f64,
    /// The number of steps in which the weight rises after the warm-up; default 200.
    pub ramp_steps: u64,
    /// The factor of the deviation, finite and above 0; default 0.8. The deviation is
    /// `s = clamp(scale sqrt(mean centre), scale_floor, scale_ceiling)`. The centres are the
    /// centres of the energy bands. Without bands they follow from units at the ends of the rate
    /// interval: `1 - exp(-2 rate)`.
    pub scale: f64,
    /// The smallest deviation, finite and above 0; default 0.03.
    pub scale_floor: f64,
    /// The largest deviation, finite and at least `scale_floor`; default 1.
    pub scale_ceiling: f64,
    /// The window with which the earlier window is encoded: its `predecessor` (the default), or
    /// `itself`, as in the reference.
    pub earlier: EarlierWindow,
}

/// The fields of [`ArShareConfig`], and their keys in `[control.ar]`.
pub(super) const AR_KEYS: &[(&str, &str)] = &[("target", "share"), ("cap", "share_cap")];

impl Default for ArConfig {
    fn default() -> Self {
        let ArShareConfig { weight, adapt, target, cap, gain, min, max, .. } =
            ArShareConfig::default();
        Self {
            weight,
            phi: 0.95,
            adapt,
            share: target,
            share_cap: cap.unwrap_or(2.0),
            gain,
            min,
            max,
            ramp_steps: 200,
            scale: 0.8,
            scale_floor: 0.03,
            scale_ceiling: 1.0,
            earlier: EarlierWindow::Predecessor,
        }
    }
}

impl ArConfig {
    pub(super) fn share(&self, reference: bool) -> ArShareConfig {
        ArShareConfig {
            weight: self.weight,
            adapt: self.adapt,
            target: self.share,
            cap: (self.share_cap <= 1.0).then_some(self.share_cap),
            gain: self.gain,
            min: self.min,
            max: self.max,
            rule: if reference { ArShareRule::Reference } else { ArShareRule::Monotone },
        }
    }
}

/// `[control.free_bits]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreeBitsConfig {
    /// The KL of each latent dimension that has no cost, in nats, finite and at least 0; default
    /// 0.05.
    pub floor: f64,
}

impl Default for FreeBitsConfig {
    fn default() -> Self {
        Self { floor: 0.05 }
    }
}

/// The course of the KL's weight under annealing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnealingName {
    /// The weight rises once.
    #[default]
    Monotone,
    /// The weight rises again in every cycle.
    Cyclical,
}

/// `[control.annealing]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealingConfig {
    /// The course of the weight: `monotone` (the default) or `cyclical`.
    pub shape: AnnealingName,
    /// The number of steps of the rise, or of a cycle, at least 1 for a cycle; default 1000.
    pub steps: u64,
    /// The share of a cycle in which the weight rises, in (0, 1]; default 0.5.
    pub rise: f64,
}

impl AnnealingConfig {
    /// The controller's setting.
    #[must_use]
    pub fn to_shape(self) -> AnnealingShape {
        let (steps, rise) = (self.steps, self.rise);
        match self.shape {
            AnnealingName::Monotone => AnnealingShape::Monotone { steps },
            AnnealingName::Cyclical => AnnealingShape::Cyclical { period: steps, rise },
        }
    }
}

impl Default for AnnealingConfig {
    fn default() -> Self {
        Self { shape: AnnealingName::Monotone, steps: 1000, rise: 0.5 }
    }
}

/// `[control.capacity]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityConfig {
    /// The weight of the distance from the target, in nats of loss per time step and nat, finite
    /// and at least 0; default 1e-3.
    pub weight: f64,
    /// The target for the layer's KL after the rise, in nats per window, finite and at least 0;
    /// default 50.
    pub target: f64,
    /// The number of steps in which the target rises from 0, after the warm-up; default 1000.
    pub ramp_steps: u64,
}

impl Default for CapacityConfig {
    fn default() -> Self {
        Self { weight: 1e-3, target: 50.0, ramp_steps: 1000 }
    }
}

/// `[control.geco]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GecoSettings {
    /// The score that is good enough, in nats per time step, finite; default: none. GECO requires
    /// it.
    pub tolerance: Option<f64>,
    /// The initial beta, in [`min`, `max`]; default: none, for the beta of the layer.
    pub initial: Option<f64>,
    /// The smallest beta, finite and above 0; default 1e-6.
    pub min: f64,
    /// The largest beta, finite and at least `min`; default 0.1.
    pub max: f64,
    /// The change of `ln beta` per nat in each action, finite and at least 0; default 0.5.
    pub gain: f64,
}

impl GecoSettings {
    /// The controller's configuration in a layer whose KL has the initial weight `beta`.
    #[must_use]
    pub fn config(&self, tolerance: f64, beta: f64) -> GecoConfig {
        let Self { min, max, gain, .. } = *self;
        GecoConfig { tolerance, initial: self.initial.unwrap_or(beta), min, max, gain }
    }
}

impl Default for GecoSettings {
    fn default() -> Self {
        Self { tolerance: None, initial: None, min: 1e-6, max: 1e-1, gain: 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_budget_has_the_scale_of_the_kl() {
        // A mean over 36 pixels: a nat of KL counts 1/36 of the loss.
        let weight = 1.0 / 36.0;
        let own = BudgetConfig::of_bound().of_layer(weight);
        assert_eq!([own.stiffness, own.gain, own.limit], [10.0, 2.0, 20.0].map(|x| x * weight));
        assert_eq!(own.goal, Goal::Interval(0.08, 0.25));
        let absolute = BudgetConfig { relative: false, ..BudgetConfig::of_bound() };
        assert_eq!(absolute.of_layer(weight), absolute.constraint());
        // A price is no scale: with it the budget is at least as firm as the default.
        let (priced, usual) = (BudgetConfig::of_bound().of_layer(1e-4), BudgetConfig::default());
        assert_eq!([priced.stiffness, priced.gain], [usual.stiffness, usual.gain]);
        assert!(priced.limit >= usual.limit);
    }
}
