//! [`JointHead`]: a head whose forecast of a whole window has a joint density in closed form.
//!
//! A gated head is nonlinear in the units' samples. The joint distribution of its outputs is known
//! only through samples, and training on few samples is biased and noisy. In the joint head,
//! outputs are affine in the samples, and the total deviation `t` of each step is an input:
//!
//! ```text
//! y = base + t (B mu + c) + g (A (z - mu) + e)      z ~ Normal(mu, S^2)      e ~ Normal(0, 1)
//! g_h = t_h / sqrt(1 + sum_n A_hn^2 S_n^2)
//! ```
//!
//! A step has the variance `t_h^2` for every `A` and `S`; these determine which part of it the
//! steps of a window share. If the steps are dependent (`forecaster/joint.rs` defines when they are
//! not), a window is normal, with the mean `base + t (B mu + c)` and the covariance
//! `g (A S^2 A' + 1) g`.
//!
//! The units' information `mu` and their noise `z - mu` have separate maps. With one map for both,
//! the errors that steps share would distort the mean (decisions 10 and 17).

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Init, ParameterId};
use vdn_model::modules::Linear;
use vdn_tensor::Element;

/// The factor on the learning rate of `A`, relative to other parameters. The shared noise has to
/// grow from a random start. With smaller factors it did not grow enough on a few thousand windows:
/// on ETTh1, the 90 % interval of the horizon's mean covered 67 % of the values with 16 units and
/// the factor 4, 83 % with 12, and 89 % with 64 units and 24 (decision 17).
pub(crate) const SPEED: f64 = 24.0;

/// An affine head whose forecast of a whole window has a closed form:
///
/// ```text
/// y = base + t (B mu + c) + g (A (z - mu) + e)      g_h = t_h / sqrt(1 + sum_n A_hn^2 S_n^2)
/// ```
///
/// Here `mu` are the units' means, `S` their deviations, and `t_h` is the total deviation of step
/// `h`. The head is a part of [`Forecaster`](crate::forecaster::Forecaster);
/// [`Dependence`](crate::forecaster::Dependence) selects it.
///
/// The trainer uses 24 times the general learning rate for `A` (`head.loadings`), by
/// [`Network::parameter_groups`](vdn_train::network::Network::parameter_groups). The effect of
/// weight decay on `A` grows by the same factor.
#[derive(Clone, Debug)]
pub struct JointHead {
    label: String,
    /// `B` and `c`.
    mean: Linear,
    /// `A`, `[outputs, channels]`.
    shared: ParameterId,
}

/// The noise that the steps of a window share, for a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// `A`, `[horizon, units]`.
    pub(crate) weights: Var,
    /// `S`, `[batch, units]`.
    pub(crate) scales: Var,
    /// `g_h / t_h`: the step's own part of its deviation, `[batch, horizon]`.
    pub(crate) own: Var,
}

impl JointHead {
    /// Builds a head of `channels` units and `outputs` steps, whose name is the scope of `builder`.
    /// `B` and `c` are initialised as in [`Linear::new`], `A` is normal with the standard deviation
    /// `1 / sqrt(channels)`.
    pub fn new<T: Element>(builder: &mut Builder<'_, T>, channels: usize, outputs: usize) -> Self {
        let label = builder.label().to_owned();
        let start = Init::Normal(1.0 / (channels.max(1) as f64).sqrt());
        let mean = Linear::new(builder, "mean", channels, outputs);
        let shared = builder.add("loadings", [outputs, channels], start);
        Self { label, mean, shared }
    }

    /// Records the shares for the units' deviations `scales` `[batch, units]`.
    ///
    /// # Errors
    /// Fails for the wrong number of units.
    pub(crate) fn shares<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        scales: Var,
    ) -> Result<Shares, Error> {
        graph.labelled(&self.label, |graph| {
            let weights = graph.parameter(self.shared);
            let tape = &mut *graph.tape;
            let (by_units, squares) = (tape.square(scales)?, tape.square(weights)?);
            let by_units = tape.affine(by_units, squares, None)?;
            let all = tape.add_scalar(by_units, T::ONE)?;
            let own = tape.pow(all, -0.5)?;
            Ok(Shares { weights, scales, own })
        })
    }

    /// Records `t (B mu + c)` for the means `mu` `[batch, units]` and the total deviations; the
    /// result is `[batch, horizon]`.
    ///
    /// # Errors
    /// Fails for means of the wrong number of units, and for deviations of the wrong horizon.
    pub(crate) fn mean<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        mu: Var,
        total: Var,
    ) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let outputs = self.mean.forward(graph, mu)?;
            graph.tape.mul(outputs, total)
        })
    }

    /// Records `gain A d`. `d` is `[samples, batch, units]`, the samples minus the means; `gain` is
    /// `[batch, horizon]`.
    ///
    /// # Errors
    /// Fails for the wrong number of units, and for a gain of the wrong horizon.
    pub(crate) fn noise<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        d: Var,
        shares: &Shares,
        gain: Var,
    ) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let outputs = graph.tape.affine(d, shares.weights, None)?;
            graph.tape.mul(outputs, gain)
        })
    }

    /// Returns the map of the means, `B` and `c`.
    pub(crate) fn mean_map(&self) -> &Linear {
        &self.mean
    }
}
