//! The KL budget: a constraint on the KL of each unit, its cost in the local bound.
//!
//! The KL is `(M2 + D0)/2` and includes the mismatch with the prior, so a unit can meet the
//! constraint without carrying information. The rate budget ([`RateBudget`](super::RateBudget))
//! cannot be met in this way. The constraint is enforced by an augmented Lagrangian: see
//! [`Constraint`].

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::state::ControlState;
use crate::objective::constraint::{Constraint, ConstraintConfig};

/// Updates the multipliers of a constraint on the KL.
#[derive(Clone, Debug)]
pub struct KlBudget(Constraint);

impl KlBudget {
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

impl Controller for KlBudget {
    fn name(&self) -> &'static str {
        "kl_budget"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Kl]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        match &mut levers.objective.kl {
            Some(constraint) => constraint.copy_multipliers(&self.0),
            none => *none = Some(self.0.clone()),
        }
    }

    fn observe(&mut self, seen: &Observation) {
        self.0.observe(&seen.kl_dims);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.0.act();
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("kl_active", self.0.active());
    }

    fn save(&self, state: &mut ControlState) {
        self.0.save("kl_budget", state);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.0.restore("kl_budget", state)
    }
}
