//! [`OrderOne`]: the autoregressive prior of order 1, `z_t | z_{t-1} ~ Normal(phi_i z_{t-1}, s_i^2)`, starting from its
//! stationary distribution. A gap of any number of steps is crossed exactly.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use crate::priors::scale::PriorScale;
use vdn_autograd::{Error, Gap, Persistence, Var};
use vdn_tensor::Element;

/// Where the coefficients start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PersistenceStart {
    /// All at this coefficient, in (-1, 1) (for time constants in (0, 1)).
    Coefficient(f64),
    /// Time constants spaced evenly in the logarithm from the first to the second, in units of `dt`; for
    /// [`Persistence::TimeConstant`].
    TimeConstants(f64, f64),
}

/// What an [`OrderOne`] is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderOneConfig {
    /// How a parameter gives a coefficient. Default: `Tanh`.
    pub persistence: Persistence,
    /// Where the coefficients start.
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

/// The parameters `persistence` (`a_i`, or `ln tau_i`) and, with a free scale, `log_scale`, both `[units]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderOne {
    persistence: Persistence,
    a: ParameterId,
    log_scale: Option<ParameterId>,
}

impl OrderOne {
    /// A prior for so many units.
    ///
    /// # Errors
    /// A start outside its domain, or of another kind than the persistence.
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

    /// The id of the persistence parameter, `[units]`.
    #[must_use]
    pub fn persistence(&self) -> ParameterId {
        self.a
    }

    /// Coefficient and log-variance of a step, both `[units]`.
    ///
    /// # Errors
    /// A gap of 0 steps.
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
