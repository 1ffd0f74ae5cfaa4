//! Constraints enforced by the method of multipliers (Hestenes 1969; Powell 1969; for inequalities
//! Rockafellar 1973).
//!
//! A KL weight `beta >= 0` can lower a rate but never raise it, so a weight alone cannot hold a
//! rate in an interval. A multiplier of either sign can.
//!
//! Let `x_i` be a measure (rate or KL, in nats). The loss gets the term
//!
//! ```text
//! target c       sum_i  l_i (x_i - c) + k/2 (x_i - c)^2                                 l of either sign
//! interval [a,b] sum_i  ( relu(u_i + k (x_i - b))^2 - u_i^2 + relu(v_i + k (a - x_i))^2 - v_i^2 ) / 2k      u, v >= 0
//! ```
//!
//! Once per period the multipliers move: `l += g (x - c)`, `u += g (x - b)`, `v += g (a - x)`,
//! where `x` is the mean of `x_i` over the period. Each multiplier is clamped to its limits, so
//! that it never integrates beyond the force that it can exert (anti-windup).
//!
//! The stiffness `k` and the multipliers are in nats of loss per time step per nat of the measure,
//! as beta is.

use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// The goal for a measure, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Exactly this value.
    Target(f64),
    /// Any value from the first to the second number.
    Interval(f64, f64),
}

impl Goal {
    /// Returns the least and the largest value that meet the goal.
    #[must_use]
    pub fn bounds(self) -> [f64; 2] {
        match self {
            Self::Target(c) => [c, c],
            Self::Interval(a, b) => [a, b],
        }
    }
}

/// The interval of the rate of a living unit, [0.05, 0.30] nats per latent dimension.
///
/// It is the default interval that budgets hold, and the default interval of the verdict
/// ([`UnitBudget`](crate::diagnostics::UnitBudget)).
pub const LIVING: [f64; 2] = [0.05, 0.30];

/// The quantity that a goal applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Scope {
    /// Each latent dimension.
    #[default]
    Dimension,
    /// The sum over the layer, in nats per window.
    Layer,
}

/// The settings of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstraintConfig {
    /// The goal. Default: the interval [`LIVING`], from 0.05 to 0.30 nats.
    pub goal: Goal,
    /// The quantity that the goal applies to. Default: `Dimension`.
    pub scope: Scope,
    /// The stiffness `k`, above 0. Default: 1e-2.
    pub stiffness: f64,
    /// The gain `g`: the change of a multiplier per nat of violation and period, at least 0.
    /// Default: 1e-3.
    pub gain: f64,
    /// The largest multiplier. Default: 1e-2.
    pub limit: f64,
}

impl Default for ConstraintConfig {
    /// The interval [`LIVING`], in nats per latent dimension.
    fn default() -> Self {
        Self {
            goal: Goal::Interval(LIVING[0], LIVING[1]),
            scope: Scope::Dimension,
            stiffness: 1e-2,
            gain: 1e-3,
            limit: 1e-2,
        }
    }
}

impl ConstraintConfig {
    /// Checks every value. An interval without an upper end is allowed.
    ///
    /// # Errors
    /// Fails for the first value outside its domain.
    pub fn validate(&self) -> Result<(), ModelError> {
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        match self.goal {
            Goal::Target(c) => check("target", c, not_negative(c), "at least 0 and finite")?,
            Goal::Interval(a, b) => {
                check("low", a, not_negative(a), "at least 0 and finite")?;
                check("high", b, b >= a, "at least the low end")?;
            }
        }
        self.validate_law()
    }

    /// Checks the settings that move the multipliers.
    fn validate_law(&self) -> Result<(), ModelError> {
        let Self { stiffness: k, gain, limit, .. } = *self;
        check("stiffness", k, k > 0.0 && k.is_finite(), "above 0")?;
        check("gain", gain, gain >= 0.0 && gain.is_finite(), "at least 0")?;
        check("limit", limit, limit >= 0.0 && limit.is_finite(), "at least 0")
    }
}

/// A constraint, its multipliers, and the running mean of its measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    config: ConstraintConfig,
    /// The multipliers `u`, or `l`.
    above: Vec<f64>,
    /// The multipliers `v`; unused by targets.
    below: Vec<f64>,
    steps: f64,
    mean: Vec<f64>,
}

impl Constraint {
    /// Creates the constraint for this many latent dimensions.
    ///
    /// # Errors
    /// Fails if a setting is outside its domain.
    pub(crate) fn new(dims: usize, config: ConstraintConfig) -> Result<Self, ModelError> {
        config.validate()?;
        Ok(Self::zero(dims, config))
    }

    /// Does what [`Constraint::new`] does for a measure that may be negative and whose goal has
    /// been checked already.
    ///
    /// # Errors
    /// Fails if a setting is outside its domain.
    pub(crate) fn of_either_sign(
        dims: usize,
        config: ConstraintConfig,
    ) -> Result<Self, ModelError> {
        config.validate_law()?;
        Ok(Self::zero(dims, config))
    }

    fn zero(dims: usize, config: ConstraintConfig) -> Self {
        let n = if config.scope == Scope::Layer { 1 } else { dims };
        let zero = || vec![0.0; n];
        Self { config, above: zero(), below: zero(), steps: 0.0, mean: zero() }
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &ConstraintConfig {
        &self.config
    }

    /// Returns the multipliers above and below, one for each element. A target has multipliers of
    /// either sign above, and none below.
    #[must_use]
    pub fn multipliers(&self) -> [&[f64]; 2] {
        [&self.above, &self.below]
    }

    /// Returns the gradient of the constraint's loss with respect to the measure, at the value `x`
    /// of element `i`.
    #[must_use]
    pub fn force(&self, i: usize, x: f64) -> f64 {
        let k = self.config.stiffness;
        match self.config.goal {
            Goal::Target(c) => self.above[i] + k * (x - c),
            Goal::Interval(a, b) => {
                (self.above[i] + k * (x - b)).max(0.0) - (self.below[i] + k * (a - x)).max(0.0)
            }
        }
    }

    /// Adds a step's measures, `[dims]`, to the mean over the period.
    pub(crate) fn observe(&mut self, measure: &[f64]) {
        self.steps += 1.0;
        let share = 1.0 / self.steps;
        match self.config.scope {
            Scope::Layer => self.mean[0] += share * (measure.iter().sum::<f64>() - self.mean[0]),
            Scope::Dimension => {
                for (mean, x) in self.mean.iter_mut().zip(measure) {
                    *mean += share * (x - *mean);
                }
            }
        }
    }

    /// Moves the multipliers at the end of a period.
    pub(crate) fn act(&mut self) {
        if self.steps == 0.0 {
            return;
        }
        self.steps = 0.0;
        let ConstraintConfig { gain, limit, goal, .. } = self.config;
        match goal {
            Goal::Target(c) => {
                for (l, x) in self.above.iter_mut().zip(&self.mean) {
                    *l = (*l + gain * (x - c)).clamp(-limit, limit);
                }
            }
            Goal::Interval(a, b) => {
                for ((u, v), x) in self.above.iter_mut().zip(&mut self.below).zip(&self.mean) {
                    *u = (*u + gain * (x - b)).clamp(0.0, limit);
                    *v = (*v + gain * (a - x)).clamp(0.0, limit);
                }
            }
        }
    }

    /// Records the constraint's term of the loss, a scalar. `measure` is `[dims]`.
    ///
    /// # Errors
    /// Fails if the measure belongs to another layer.
    pub fn term<T: Element>(&self, tape: &mut Tape<T>, measure: Var) -> Result<Var, Error> {
        let k = self.config.stiffness;
        let measure = match self.config.scope {
            Scope::Dimension => measure,
            Scope::Layer => {
                let sum = tape.sum(measure)?;
                tape.reshape(sum, [1])?
            }
        };
        let shifted = |tape: &mut Tape<T>, multipliers: &[f64], by: f64| {
            tape.constant_with([multipliers.len()], |to| {
                to.iter_mut().zip(multipliers).for_each(|(to, l)| *to = T::from_f64(l / k + by));
            })
        };
        let squares = |multipliers: &[f64]| multipliers.iter().map(|l| l * l).sum::<f64>();
        let energy = |tape: &mut Tape<T>, x: Var| -> Result<Var, Error> {
            let square = tape.square(x)?;
            tape.sum(square)
        };
        let (sum, paid) = match self.config.goal {
            Goal::Target(c) => {
                let shift = shifted(tape, &self.above, -c)?;
                let x = tape.add(measure, shift)?;
                (energy(tape, x)?, squares(&self.above))
            }
            Goal::Interval(a, b) => {
                let shift = shifted(tape, &self.above, -b)?;
                let x = tape.add(measure, shift)?;
                let x = tape.relu(x)?;
                let above = energy(tape, x)?;
                let shift = shifted(tape, &self.below, a)?;
                let x = tape.sub(shift, measure)?;
                let x = tape.relu(x)?;
                let below = energy(tape, x)?;
                (tape.add(above, below)?, squares(&self.above) + squares(&self.below))
            }
        };
        let scaled = tape.scale(sum, T::from_f64(0.5 * k))?;
        tape.add_scalar(scaled, T::from_f64(-0.5 * paid / k))
    }

    /// Returns the share of multipliers that are not 0.
    pub(crate) fn active(&self) -> f64 {
        let active = self.above.iter().zip(&self.below).filter(|&(u, v)| *u != 0.0 || *v != 0.0);
        active.count() as f64 / self.above.len().max(1) as f64
    }

    pub(crate) fn save(&self, name: &str, state: &mut ControlState) {
        state.put(format!("{name}.above"), &self.above);
        state.put(format!("{name}.below"), &self.below);
        state.put(format!("{name}.mean"), &self.mean);
        state.put(format!("{name}.steps"), &[self.steps]);
    }

    pub(crate) fn restore(&mut self, name: &str, state: &ControlState) -> Result<(), ModelError> {
        state.fill(&format!("{name}.above"), &mut self.above)?;
        state.fill(&format!("{name}.below"), &mut self.below)?;
        state.fill(&format!("{name}.mean"), &mut self.mean)?;
        self.steps = state.number(&format!("{name}.steps"))?;
        Ok(())
    }

    pub(crate) fn copy_multipliers(&mut self, from: &Self) {
        self.above.copy_from_slice(&from.above);
        self.below.copy_from_slice(&from.below);
    }
}
