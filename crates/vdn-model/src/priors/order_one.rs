//! [`OrderOne`]: the autoregressive prior of order 1.
//!
//! It starts from its stationary distribution, and it crosses a gap of `n` steps exactly: the
//! coefficient becomes `phi^n`, and the variance `s^2 (1 + phi^2 + ... + phi^(2n-2))`.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use crate::priors::scale::PriorScale;
use vdn_autograd::{Error, Gap, Persistence, Var};
use vdn_tensor::Element;

/// The initial coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PersistenceStart {
    /// The same coefficient for all units, in (-1, 1); for time constants in (0, 1).
    Coefficient(f64),
    /// Time constants in units of `dt`, spaced evenly in the logarithm from the first to the second
    /// number, both above 0. Only for [`Persistence::TimeConstant`].
    TimeConstants(f64, f64),
}

/// The settings of an [`OrderOne`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderOneConfig {
    /// The map from a parameter to a coefficient. Default: `Tanh`.
    pub persistence: Persistence,
    /// The initial coefficients. Default: 0.5.
    pub start: PersistenceStart,
    /// The scale of the innovations. Default: `Stationary`.
    pub scale: PriorScale,
}

impl Default for OrderOneConfig {
    fn default() -> Self {
        let start = PersistenceStart::Coefficient(0.5);
        Self { persistence: Persistence::Tanh, start, scale: PriorScale::Stationary }
    }
}

/// The autoregressive prior of order 1, with parameters for each unit `i`:
///
/// `z_t | z_{t-1} ~ Normal(phi_i z_{t-1}, s_i^2)` with `|phi_i| < 1`, starting from the stationary
/// distribution `Normal(0, s_i^2 / (1 - phi_i^2))`.
///
/// | parameter | shape | meaning |
/// |---|---|---|
/// | `persistence` | `[units]` | `a_i` or `ln tau_i`, which gives `phi_i` ([`Persistence`]) |
/// | `log_scale` | `[units]` | `ln s_i`; only with [`PriorScale::Free`] |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderOne {
    persistence: Persistence,
    a: ParameterId,
    log_scale: Option<ParameterId>,
}

impl OrderOne {
    /// Creates a prior for this many units.
    ///
    /// # Errors
    /// Fails if the start is outside its domain or of another kind than the persistence, if the
    /// time step of [`Persistence::TimeConstant`] is not positive, or if the scale is not positive.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        units: usize,
        config: OrderOneConfig,
    ) -> Result<Self, ModelError> {
        config.scale.validate()?;
        let refuse = |reason: String| Err(ModelError::config("persistence", reason));
        let init = match (config.persistence, config.start) {
            (Persistence::TimeConstant(dt), _) if !(dt > 0.0 && dt.is_finite()) => {
                return refuse(format!("a time step of {dt}, has to be positive"));
            }
            (Persistence::Tanh, PersistenceStart::Coefficient(phi)) if phi.abs() < 1.0 => {
                Init::Constant(phi.atanh())
            }
            (Persistence::TimeConstant(dt), PersistenceStart::Coefficient(phi))
                if phi > 0.0 && phi < 1.0 =>
            {
                Init::Constant((-dt / phi.ln()).ln())
            }
            (Persistence::TimeConstant(_), PersistenceStart::TimeConstants(first, last))
                if first > 0.0 && last > 0.0 && (first * last).is_finite() =>
            {
                Init::Spaced(first.ln(), last.ln())
            }
            (persistence, start) => {
                return refuse(format!("{start:?} is no start for {persistence:?}"));
            }
        };
        let a = builder.add("persistence", [units], init);
        let log_scale = match config.scale {
            PriorScale::Stationary => None,
            PriorScale::Free(s) => Some(builder.add("log_scale", [units], Init::Constant(s.ln()))),
        };
        Ok(Self { persistence: config.persistence, a, log_scale })
    }

    /// Returns the id of the persistence parameter, `[units]`.
    #[must_use]
    pub fn persistence(&self) -> ParameterId {
        self.a
    }

    /// Records coefficient and log-variance of a transition, both `[units]`.
    ///
    /// # Errors
    /// Fails for a gap of 0 steps.
    pub fn transition<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        gap: Gap,
    ) -> Result<[Var; 2], Error> {
        let a = graph.parameter(self.a);
        let log_scale = self.log_scale.map(|id| graph.parameter(id));
        graph.tape.ar_transition(a, log_scale, self.persistence, gap)
    }
}
