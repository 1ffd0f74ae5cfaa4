//! [`Autoregressive`]: the autoregressive prior of order `p`.
//!
//! An autoregressive process is stationary only if its coefficients lie in a region whose shape is
//! complicated for `p >= 2`. Partial autocorrelations avoid the problem: any values in (-1, 1) give
//! a stationary process. The learned parameters are their inverse hyperbolic tangents, so every
//! parameter value is valid. The Levinson recursion turns partial autocorrelations into
//! coefficients. The first steps, which have fewer than `p` predecessors, get their exact
//! distribution: the best prediction from the values that exist.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use crate::priors::scale::PriorScale;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// The settings of an [`Autoregressive`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoregressiveConfig {
    /// The order `p`, at least 1.
    pub order: usize,
    /// The initial partial autocorrelation of all units at lag 1, in (-1, 1). Partial
    /// autocorrelations at other lags start at 0.
    pub start: f64,
    /// The scale of the innovations.
    pub scale: PriorScale,
}

/// The autoregressive prior of order `p`, with parameters for each unit:
///
/// `z_t | z_{t-1}, ..., z_{t-p} ~ Normal(sum_k phi_k z_{t-k}, s^2)`, starting from the stationary
/// distribution.
///
/// | parameter | shape | meaning |
/// |---|---|---|
/// | `partial_first` | `[1, units]` | `atanh` of the partial autocorrelation at lag 1 |
/// | `partial_others` | `[p - 1, units]` | `atanh` of the others; absent if `p = 1` |
/// | `log_scale` | `[units]` | `ln s`; only with [`PriorScale::Free`] |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autoregressive {
    order: usize,
    first: ParameterId,
    others: Option<ParameterId>,
    log_scale: Option<ParameterId>,
}

impl Autoregressive {
    /// Creates a prior for this many units.
    ///
    /// # Errors
    /// Fails if the order is 0, the start is outside (-1, 1), or the scale is not positive.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        units: usize,
        config: AutoregressiveConfig,
    ) -> Result<Self, ModelError> {
        let AutoregressiveConfig { order, start, scale } = config;
        scale.validate()?;
        if order == 0 || !(start.abs() < 1.0) {
            let reason = format!("order {order}, start {start}: at least 1, and inside (-1, 1)");
            return Err(ModelError::config("autoregressive", reason));
        }
        let first = builder.add("partial_first", [1, units], Init::Constant(start.atanh()));
        let others = (order > 1)
            .then(|| builder.add("partial_others", [order - 1, units], Init::Constant(0.0)));
        let log_scale = match scale {
            PriorScale::Stationary => None,
            PriorScale::Free(s) => Some(builder.add("log_scale", [units], Init::Constant(s.ln()))),
        };
        Ok(Self { order, first, others, log_scale })
    }

    /// Returns the order `p`.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// Returns the best prediction from the last `known` values, or from the last `p` if `known` is
    /// larger: one coefficient `[units]` for each value, the last value first, and the
    /// log-variance, `[units]` or `[]` if it is constant.
    ///
    /// # Errors
    /// Fails if the tape is full.
    pub fn prediction<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        known: usize,
    ) -> Result<(Vec<Var>, Var), Error> {
        let known = known.min(self.order);
        let mut a = graph.parameter(self.first);
        if let Some(others) = self.others {
            let others = graph.parameter(others);
            a = graph.tape.concat(&[a, others], 0)?;
        }
        let (mut coefficients, mut logvar) = (Vec::new(), None);
        if known > 0 {
            let [all, variance] = graph.tape.levinson(a, known)?;
            let units = graph.tape.shape(variance).numel();
            for k in 0..known {
                let row = graph.tape.slice_axis(all, 0, k, 1)?;
                coefficients.push(graph.tape.reshape(row, [units])?);
            }
            logvar = Some(variance);
        }
        // With a free scale the variances are the variances of the unit process, times s^2 over its
        // innovation variance.
        if let Some(log_scale) = self.log_scale {
            let [_, whole] = graph.tape.levinson(a, self.order)?;
            let log_scale = graph.parameter(log_scale);
            let twice = graph.tape.scale(log_scale, T::from_f64(2.0))?;
            let process = graph.tape.sub(twice, whole)?;
            logvar = Some(match logvar {
                Some(unit) => graph.tape.add(unit, process)?,
                None => process,
            });
        }
        let logvar = match logvar {
            Some(logvar) => logvar,
            None => graph.tape.constant([], &[T::ZERO])?,
        };
        Ok((coefficients, logvar))
    }
}
