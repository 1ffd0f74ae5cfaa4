//! The tables of `[control]`: one for each controller that can be added to a mode.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::{
    AnnealingShape, ArShareConfig, ArShareRule, ConstraintConfig, GecoConfig, Goal,
    PersistenceConfig, Scope,
};
use vdn_model::objective::EarlierWindow;

/// `[control.rate]` and `[control.kl]`: an interval or a value, by the method of multipliers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// The least value that is wanted, nats, finite and at least 0; 0.08, of forecasting runs under
    /// a joint head 0.1.
    pub low: f64,
    /// The largest, nats, at least `low`; 0.27. `inf`: there is no upper end.
    pub high: f64,
    /// This value instead of the interval, nats, finite and at least 0; none.
    pub target: Option<f64>,
    /// The quantity that is held: each latent `dimension`, the default, or the sum over the
    /// `layer`.
    pub scope: Scope,
    /// The penalty's stiffness, nats of loss per time step and squared nat, finite and above 0;
    /// 0.05.
    pub stiffness: f64,
    /// The change of a multiplier per nat of violation and act, finite and at least 0; 0.01.
    pub gain: f64,
    /// The largest multiplier, finite and at least 0; 0.05.
    pub limit: f64,
    /// Whether stiffness, gain and limit are multiples of the weight that the layer's KL has where
    /// no controller sets it, or of 0.005 where that is less; false: they are nats of loss.
    pub relative: bool,
}

/// The weight that a budget is relative to where that of the KL is less: a weight so small is a
/// price, and no part of a bound. With it the budget of a bound has the stiffness and the gain of
/// the default.
const LEAST_WEIGHT: f64 = 0.005;

impl Default for BudgetConfig {
    /// [0.08, 0.27] nats per latent dimension on the training windows, so that most units stay in
    /// [0.05, 0.30], where they count as living, on others.
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
    /// For losses that are evidence lower bounds, whatever their scale: [0.08, 0.25] nats, and
    /// relative to the weight of the KL a stiffness of 10, a gain of 2 and multipliers up to 20. A
    /// nat that a unit carries can bring several nats of the bound, which a multiplier has to
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

    /// As the controller of a layer wants it whose KL has the weight `kl_weight`.
    pub(super) fn of_layer(&self, kl_weight: f64) -> ConstraintConfig {
        let own = self.constraint();
        if !self.relative {
            return own;
        }
        let scale = kl_weight.max(LEAST_WEIGHT);
        let [stiffness, gain, limit] = [own.stiffness, own.gain, own.limit].map(|x| x * scale);
        ConstraintConfig { stiffness, gain, limit, ..own }
    }

    /// As the controller wants it; `relative` is left out of account.
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

/// `[control.persistence]`: a value or an interval for the autocorrelation `rho` of every latent
/// dimension's samples between a window and the one `data.stride` rows earlier, by the method of
/// multipliers on `atanh rho`.
///
/// ```toml
/// [control]
/// controllers = ["persistence"]
/// [control.persistence]
/// target = 0.3             # or low and high; there is no default
/// ```
///
/// Windows less than `input_len` rows apart share rows: there `rho` is above that of a probe
/// (`[diagnostics]`), which takes windows that share none. Samples of two windows are drawn
/// independently: `abs(rho)` is at most `1 - exp(-2 rate)`, and what cannot be met beside a budget
/// of rate or KL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersistenceSettings {
    /// The least value that is wanted, in (-1, 1); none.
    pub low: Option<f64>,
    /// The largest, in (-1, 1), at least `low`; none.
    pub high: Option<f64>,
    /// This value instead of the interval, in (-1, 1); none.
    pub target: Option<f64>,
    /// The penalty's stiffness, nats of loss per time step and squared unit of `atanh rho`, finite
    /// and above 0; 0.05.
    pub stiffness: f64,
    /// The change of a multiplier per unit of violation and act, finite and at least 0; 0.01.
    pub gain: f64,
    /// The largest multiplier, finite and at least 0; 0.05.
    pub limit: f64,
}

impl Default for PersistenceSettings {
    /// As strong as the budget of the rate.
    fn default() -> Self {
        let BudgetConfig { stiffness, gain, limit, .. } = BudgetConfig::default();
        Self { low: None, high: None, target: None, stiffness, gain, limit }
    }
}

impl PersistenceSettings {
    /// What is wanted.
    ///
    /// # Errors
    /// Neither a target nor both ends of an interval, or both.
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
    /// The first weight, finite and at least 0; 1.
    pub weight: f64,
    /// The coefficient of the earlier window's means, in [-1, 1]; 0.95.
    pub phi: f64,
    /// Whether the weight follows the share of the loss; true.
    pub adapt: bool,
    /// The share of the loss that is wanted, in [0, 1); 0.2.
    pub share: f64,
    /// The share above which the weight falls at the doubled rate, finite and at least `share`;
    /// 0.3. Above 1: nowhere.
    pub share_cap: f64,
    /// The change of the weight's logarithm per unit of share, finite and at least 0; 0.1.
    pub gain: f64,
    /// The least weight that adapting leads to, finite and above 0; 0.25.
    pub min: f64,
    /// The largest, finite and at least `min`; 10.
    pub max: f64,
    /// Steps of the rise of the weight, after the warm-up; 200.
    pub ramp_steps: u64,
    /// The deviation's factor: `s = clamp(scale sqrt(mean centre), scale_floor, scale_ceiling)`.
    /// The centres are those of the energy bands; without bands those of units at the ends of the
    /// rate interval, `1 - exp(-2 rate)`. Finite and above 0; 0.8.
    pub scale: f64,
    /// The least deviation, finite and above 0; 0.03.
    pub scale_floor: f64,
    /// The largest, finite and at least `scale_floor`; 1.
    pub scale_ceiling: f64,
    /// What the earlier window is encoded with: its `predecessor`, the default, or `itself`, as in
    /// the reference.
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
    /// The KL of each latent dimension that costs nothing, nats, finite and at least 0; 0.05.
    pub floor: f64,
}

impl Default for FreeBitsConfig {
    fn default() -> Self {
        Self { floor: 0.05 }
    }
}

/// How the KL's weight rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnealingName {
    /// Once.
    #[default]
    Monotone,
    /// In every cycle again.
    Cyclical,
}

/// `[control.annealing]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealingConfig {
    /// How the weight rises: `monotone`, the default, or `cyclical`.
    pub shape: AnnealingName,
    /// Steps of the rise, or of a cycle, of which there is at least 1; 1000.
    pub steps: u64,
    /// The share of a cycle that rises, in (0, 1]; 0.5.
    pub rise: f64,
}

impl AnnealingConfig {
    /// As the controller wants it.
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
    /// The weight of the distance from the target, nats of loss per time step and nat, finite and
    /// at least 0; 1e-3.
    pub weight: f64,
    /// The layer's KL after the rise, nats per window, finite and at least 0; 50.
    pub target: f64,
    /// Steps of the rise from 0, after the warm-up; 1000.
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
    /// The score that is good enough, nats per time step, finite; none by default, and GECO needs
    /// it.
    pub tolerance: Option<f64>,
    /// The first beta, in [`min`, `max`]; none: that of the layer.
    pub initial: Option<f64>,
    /// The least beta, finite and above 0; 1e-6.
    pub min: f64,
    /// The largest, finite and at least `min`; 0.1.
    pub max: f64,
    /// The change of `ln beta` per nat and act, finite and at least 0; 0.5.
    pub gain: f64,
}

impl GecoSettings {
    /// As the controller wants it, in a layer whose KL has the weight `beta` at first.
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
