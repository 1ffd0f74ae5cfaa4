//! Annealing of the KL's weight: monotone (Bowman et al. 2016) or cyclical (Fu et al. 2019).

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;

/// How the factor on all KL weights rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnnealingShape {
    /// From 0 to 1 in so many steps, once.
    Monotone {
        /// Steps of the rise.
        steps: u64,
    },
    /// In each cycle from 0 to 1 over the first `rise` of its steps, then 1.
    Cyclical {
        /// Steps of a cycle, at least 1.
        period: u64,
        /// The share of a cycle that rises, in (0, 1].
        rise: f64,
    },
}

/// Sets the factor on all KL weights.
///
/// ```
/// use vdn_model::controllers::{Annealing, AnnealingShape};
/// let cycles = Annealing::new(AnnealingShape::Cyclical { period: 100, rise: 0.5 })?;
/// assert_eq!([0, 25, 50, 99, 100, 125].map(|step| cycles.factor(step)), [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Annealing {
    shape: AnnealingShape,
}

impl Annealing {
    /// With this shape.
    ///
    /// # Errors
    /// A value outside its domain.
    pub fn new(shape: AnnealingShape) -> Result<Self, ModelError> {
        if let AnnealingShape::Cyclical { period, rise } = shape {
            check("period", period as f64, period > 0, "at least 1")?;
            check("rise", rise, rise > 0.0 && rise <= 1.0, "in (0, 1]")?;
        }
        Ok(Self { shape })
    }

    /// The factor after `step` training steps, in [0, 1].
    #[must_use]
    pub fn factor(&self, step: u64) -> f64 {
        match self.shape {
            AnnealingShape::Monotone { steps: 0 } => 1.0,
            AnnealingShape::Monotone { steps } => (step as f64 / steps as f64).min(1.0),
            AnnealingShape::Cyclical { period, rise } => {
                ((step % period) as f64 / (rise * period as f64)).min(1.0)
            }
        }
    }
}

impl Controller for Annealing {
    fn name(&self) -> &'static str {
        "annealing"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::KlFactor]
    }

    fn begin(&mut self, step: u64, levers: &mut Levers) {
        levers.objective.kl_factor = self.factor(step);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
    }
}
