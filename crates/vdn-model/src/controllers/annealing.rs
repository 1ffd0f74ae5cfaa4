//! Annealing of the KL weight: monotone (Bowman et al. 2016) or cyclical (Fu et al. 2019).
//!
//! Early in training a full KL weight drives posteriors onto the prior before the rest of the
//! network has learned to use the units. Annealing starts the weight at 0 and raises it, once or in
//! cycles:
//!
//! * [`AnnealingShape::Monotone`]: `factor = min(1, step / steps)`;
//! * [`AnnealingShape::Cyclical`]: `factor = min(1, (step mod period) / (rise period))`.
//!
//! The factor multiplies the KL weight of every unit ([`Lever::KlFactor`]).

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;

/// The schedule by which the common factor on all KL weights rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnnealingShape {
    /// Rises once from 0 to 1.
    Monotone {
        /// The number of steps of the rise.
        steps: u64,
    },
    /// Rises from 0 to 1 over the first `rise` of each cycle, then stays at 1.
    Cyclical {
        /// The number of steps in a cycle, at least 1.
        period: u64,
        /// The share of a cycle during which the factor rises, in (0, 1].
        rise: f64,
    },
}

/// Anneals the common factor on all KL weights.
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
    /// Creates the controller with this shape.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(shape: AnnealingShape) -> Result<Self, ModelError> {
        if let AnnealingShape::Cyclical { period, rise } = shape {
            check("period", period as f64, period > 0, "at least 1")?;
            check("rise", rise, rise > 0.0 && rise <= 1.0, "in (0, 1]")?;
        }
        Ok(Self { shape })
    }

    /// Returns the factor after `step` training steps, in [0, 1].
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
