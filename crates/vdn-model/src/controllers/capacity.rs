//! A capacity target for the KL of a layer (Burgess et al. 2018).
//!
//! The loss gets the term `weight |sum_i KL_i - C|`, with `C` rising linearly from 0. The term
//! replaces the weighted KL.

use crate::controllers::{Controller, Lever, Levers, Moment, Ramp};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::objective::local_objective::CapacityTerm;

/// Raises the capacity target.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    weight: f64,
    target: f64,
    ramp: Ramp,
}

impl Capacity {
    /// Creates the controller with a target of `target` nats per window after the ramp.
    ///
    /// # Errors
    /// Fails if a value is negative.
    pub fn new(weight: f64, target: f64, ramp: Ramp) -> Result<Self, ModelError> {
        check("weight", weight, weight >= 0.0 && weight.is_finite(), "at least 0")?;
        check("target", target, target >= 0.0 && target.is_finite(), "at least 0")?;
        Ok(Self { weight, target, ramp })
    }
}

impl Controller for Capacity {
    fn name(&self) -> &'static str {
        "capacity"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Capacity, Lever::Beta]
    }

    fn begin(&mut self, step: u64, levers: &mut Levers) {
        let target = self.target * self.ramp.at(step);
        levers.objective.capacity = Some(CapacityTerm { weight: self.weight, target });
        levers.objective.beta.fill(0.0);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
    }
}
