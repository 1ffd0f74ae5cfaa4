//! The rate budget: a constraint on the information that each unit carries.
//!
//! The constraint is on the rate `R = [ln(C2 + V) - Lv]/2`, an upper bound of the information about
//! the input, and not on the KL. A unit that ignores its input cannot meet it by moving away from
//! its prior. The constraint is enforced by an augmented Lagrangian: see [`Constraint`].

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::state::ControlState;
use crate::objective::constraint::{Constraint, ConstraintConfig};

/// Updates the multipliers of a constraint on the rate.
#[derive(Clone, Debug)]
pub struct RateBudget(Constraint);

impl RateBudget {
    /// Creates the budget for this many latent dimensions.
    ///
    /// # Errors
    /// Fails if a setting is outside its domain.
    pub fn new(dims: usize, config: ConstraintConfig) -> Result<Self, ModelError> {
        Ok(Self(Constraint::new(dims, config)?))
    }

    /// Returns the constraint and its multipliers.
    #[must_use]
    pub fn constraint(&self) -> &Constraint {
        &self.0
    }
}

impl Controller for RateBudget {
    fn name(&self) -> &'static str {
        "rate_budget"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Rate]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        match &mut levers.objective.rate {
            Some(constraint) => constraint.copy_multipliers(&self.0),
            none => *none = Some(self.0.clone()),
        }
    }

    fn observe(&mut self, seen: &Observation) {
        self.0.observe(&seen.rate_dims);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.0.act();
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("rate_active", self.0.active());
    }

    fn save(&self, state: &mut ControlState) {
        self.0.save("rate_budget", state);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.0.restore("rate_budget", state)
    }
}
