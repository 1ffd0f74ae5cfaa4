//! The persistence target: how long units remember, independently of how much information they
//! carry.
//!
//! The constraint is on `atanh rho_i`, Fisher's transform of the autocorrelation `rho_i` of the
//! aggregate posterior. The transform has the same scale near 0 and near 1. The constraint is
//! enforced by an augmented Lagrangian: see [`Constraint`].
//!
//! * In layers with a prior over time ([`PersistenceTarget::new`]), `rho_i` is the autocorrelation
//!   of [`SequenceMeasures`](crate::objective::SequenceMeasures) at lag 1. Gradients move `phi_i`,
//!   `s_i` and the gain of the posterior.
//! * In a forecaster of windows ([`PersistenceTarget::between_windows`]), `rho_i` is the
//!   autocorrelation of [`window_persistence`](crate::objective::window_persistence) between a
//!   window and the window `stride` rows earlier. Gradients move means and deviations. Windows less
//!   than `L` rows apart share rows. No prior can carry memory here, so `abs(rho)` is at most `1 -
//!   exp(-2 R)`.
//!
//! A rate budget on the same layer ([`RateBudget`](super::RateBudget); along a sequence it
//! constrains the rate given the past) is a separate constraint with its own multipliers.

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;
use crate::objective::constraint::{Constraint, ConstraintConfig, Goal, Scope};
use crate::priors::Prior;

/// The settings of a [`PersistenceTarget`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersistenceConfig {
    /// The goal for `rho`, in (-1, 1).
    pub goal: Goal,
    /// The stiffness, above 0, in nats of loss per squared unit of `atanh rho`.
    pub stiffness: f64,
    /// The change of a multiplier per unit of violation and period, at least 0.
    pub gain: f64,
    /// The largest multiplier.
    pub limit: f64,
}

impl PersistenceConfig {
    /// Creates settings with this goal, a stiffness of 1, a gain of 0.1 and multipliers up to 10.
    #[must_use]
    pub fn new(goal: Goal) -> Self {
        Self { goal, stiffness: 1.0, gain: 0.1, limit: 10.0 }
    }
}

/// Updates the multipliers of a constraint on the persistence.
///
/// ```
/// use vdn_model::controllers::{Goal, PersistenceConfig, PersistenceTarget};
/// use vdn_model::priors::Prior;
/// # use vdn_model::core::{Builder, Parameters};
/// # use vdn_model::priors::{OrderOne, OrderOneConfig};
/// # let mut parameters = Parameters::<f32>::new();
/// # let order_one = OrderOne::new(&mut Builder::new(&mut parameters, 0), 8, OrderOneConfig::default())?;
/// let config = PersistenceConfig::new(Goal::Interval(0.5, 0.7));
/// assert!(PersistenceTarget::new(8, Prior::OrderOne(order_one), config).is_ok());
/// // A prior without memory has nothing to tune.
/// assert!(PersistenceTarget::new(8, Prior::StandardNormal, config).is_err());
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PersistenceTarget {
    constraint: Constraint,
    seen: Vec<f64>,
}

impl PersistenceTarget {
    /// Creates the target for this many units with this prior.
    ///
    /// # Errors
    /// Fails if a setting is outside its domain, or the prior has no memory or an order above 1.
    pub fn new(units: usize, prior: Prior, config: PersistenceConfig) -> Result<Self, ModelError> {
        if !matches!(prior, Prior::OrderOne(_)) {
            let reason = format!("needs an autoregressive prior of order one, not {prior:?}");
            return Err(ModelError::config("prior", reason));
        }
        Self::between_windows(units, config)
    }

    /// Creates the target for this many latent dimensions of a layer without a prior over time,
    /// from window to window.
    ///
    /// # Errors
    /// Fails if a setting is outside its domain.
    pub fn between_windows(dims: usize, config: PersistenceConfig) -> Result<Self, ModelError> {
        let inside = |x: f64| x > -1.0 && x < 1.0;
        let goal = match config.goal {
            Goal::Target(c) => {
                check("target", c, inside(c), "in (-1, 1)")?;
                Goal::Target(c.atanh())
            }
            Goal::Interval(a, b) => {
                check("low", a, inside(a), "in (-1, 1)")?;
                check("high", b, b >= a && b < 1.0, "at least the low end, below 1")?;
                Goal::Interval(a.atanh(), b.atanh())
            }
        };
        let PersistenceConfig { stiffness, gain, limit, .. } = config;
        let config = ConstraintConfig { goal, scope: Scope::Dimension, stiffness, gain, limit };
        Ok(Self { constraint: Constraint::of_either_sign(dims, config)?, seen: vec![0.0; dims] })
    }

    /// Returns the constraint on `atanh rho` and its multipliers.
    #[must_use]
    pub fn constraint(&self) -> &Constraint {
        &self.constraint
    }
}

impl Controller for PersistenceTarget {
    fn name(&self) -> &'static str {
        "persistence_target"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Persistence]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        match &mut levers.objective.persistence {
            Some(constraint) => constraint.copy_multipliers(&self.constraint),
            none => *none = Some(self.constraint.clone()),
        }
    }

    fn observe(&mut self, seen: &Observation) {
        for (to, rho) in self.seen.iter_mut().zip(&seen.persistence) {
            *to = rho.atanh();
        }
        self.constraint.observe(&self.seen);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.constraint.act();
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("persistence_active", self.constraint.active());
        let rho: f64 = self.seen.iter().map(|x| x.tanh()).sum();
        to("persistence_mean", rho / self.seen.len() as f64);
    }

    fn save(&self, state: &mut ControlState) {
        self.constraint.save("persistence_target", state);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.constraint.restore("persistence_target", state)
    }
}
