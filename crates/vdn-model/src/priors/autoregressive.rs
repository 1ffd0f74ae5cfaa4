//! [`Autoregressive`]: the autoregressive prior of order `p` by partial autocorrelations, which is stationary whatever its
//! parameters are. The first steps have their exact distribution: the prediction from fewer values.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use crate::priors::scale::PriorScale;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// What an [`Autoregressive`] is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoregressiveConfig {
    /// The order, `p`.
    pub order: usize,
    /// The partial autocorrelation at lag 1 that all units start with, in (-1, 1); those at other lags start at 0.
    pub start: f64,
    /// The scale of the innovations.
    pub scale: PriorScale,
}

/// The parameters `partial_first` `[1, units]` and `partial_others` `[p - 1, units]` (inverse hyperbolic tangents of
/// partial autocorrelations) and, with a free
/// scale, `log_scale`, `[units]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autoregressive {
    order: usize,
    first: ParameterId,
    others: Option<ParameterId>,
    log_scale: Option<ParameterId>,
}

impl Autoregressive {
    /// A prior for so many units.
    ///
    /// # Errors
    /// The order is 0; the start lies outside (-1, 1); the scale is not positive.
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

    /// The order, `p`.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// The best prediction from `known` earlier values, `p` at most: one coefficient `[units]` for each, that of the last
    /// value first, and the log-variance `[units]` (`[]` where it is constant).
    ///
    /// # Errors
    /// The tape is full.
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
        // With a free scale the variances are those of the unit process times s^2 over its innovation variance.
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
