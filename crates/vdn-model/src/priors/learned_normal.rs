//! [`LearnedNormal`]: a normal prior with a learned mean and deviation for each unit.

use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// The prior `Normal(m_i, s_i^2)` of unit `i`.
///
/// Its learned parameters are `mean`, `m_i`, and `log_scale`, `ln s_i`, both `[units]`. They start
/// at 0: the standard normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedNormal {
    mean: ParameterId,
    log_scale: ParameterId,
}

impl LearnedNormal {
    /// Creates a prior for this many units.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, units: usize) -> Self {
        let mean = builder.add("mean", [units], Init::Constant(0.0));
        Self { mean, log_scale: builder.add("log_scale", [units], Init::Constant(0.0)) }
    }

    /// Returns mean and log-variance, both `[units]`.
    ///
    /// # Errors
    /// Fails if the tape is full.
    pub fn moments<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<[Var; 2], Error> {
        let (mean, log_scale) = (graph.parameter(self.mean), graph.parameter(self.log_scale));
        Ok([mean, graph.tape.scale(log_scale, T::from_f64(2.0))?])
    }

    /// Returns mean and log-scale, both `[units]`.
    pub(crate) fn parameters<T: Element>(&self, graph: &mut Graph<'_, T>) -> [Var; 2] {
        [graph.parameter(self.mean), graph.parameter(self.log_scale)]
    }

    /// Returns the id of the log-scale, `[units]`.
    pub(crate) fn log_scale(&self) -> ParameterId {
        self.log_scale
    }

    /// Records the KL divergence of `Normal(mu, e^logvar)` from the prior in nats, element by
    /// element.
    ///
    /// # Errors
    /// Fails if `mu` and `logvar` do not broadcast with `[units]`.
    pub fn kl<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        mu: Var,
        logvar: Var,
    ) -> Result<Var, Error> {
        let [mean, prior] = self.moments(graph)?;
        graph.tape.kl_gaussian(mu, logvar, mean, prior)
    }
}
