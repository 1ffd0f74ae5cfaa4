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
//!
//! The trained parameter is not `A` but `D`, the innovations of `A` along the horizon (decision
//! 30). With the correlation `rho` (`c` in that decision):
//!
//! ```text
//! A_1 = D_1      A_h = rho A_{h-1} + sqrt(1 - rho^2) D_h
//! ```
//!
//! The loadings `A` of neighbouring steps therefore start with the correlation `rho`. A step of the
//! optimiser moves every entry of `D` by about the same amount, so `A` moves farthest where the
//! movements of neighbouring steps agree.

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Init, ParameterId};
use vdn_model::modules::Linear;
use vdn_tensor::Element;

/// The factor on the learning rate of `D`, relative to other parameters. The shared noise has to
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
/// The stored parameter is `D` (`head.loadings`). `A` is its autoregression along the steps with
/// the correlation `rho`: `A_1 = D_1`, `A_h = rho A_{h-1} + sqrt(1 - rho^2) D_h`.
///
/// The trainer uses 24 times the general learning rate for `D`, by
/// [`Network::parameter_groups`](vdn_train::network::Network::parameter_groups). The effect of
/// weight decay on `D` grows by the same factor.
#[derive(Clone, Debug)]
pub struct JointHead {
    label: String,
    /// `B` and `c`.
    mean: Linear,
    /// `D`, `[outputs, channels]`.
    shared: ParameterId,
    /// `rho`.
    correlation: f64,
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
    ///
    /// The loadings of neighbouring steps start with the given `correlation`, in [0, 1). `B` and
    /// `c` are initialised as in [`Linear::new`]. At the start, each loading is normal with the
    /// standard deviation `1 / sqrt(channels)`.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        channels: usize,
        outputs: usize,
        correlation: f64,
    ) -> Self {
        let label = builder.label().to_owned();
        let start = Init::Normal(1.0 / (channels.max(1) as f64).sqrt());
        let mean = Linear::new(builder, "mean", channels, outputs);
        let shared = builder.add("loadings", [outputs, channels], start);
        Self { label, mean, shared, correlation }
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
            let weights = self.loadings(graph)?;
            let tape = &mut *graph.tape;
            let (by_units, squares) = (tape.square(scales)?, tape.square(weights)?);
            let by_units = tape.affine(by_units, squares, None)?;
            let all = tape.add_scalar(by_units, T::ONE)?;
            let own = tape.pow(all, -0.5)?;
            Ok(Shares { weights, scales, own })
        })
    }

    /// Records `A`, `[outputs, channels]`.
    fn loadings<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<Var, Error> {
        let innovations = graph.parameter(self.shared);
        if self.correlation == 0.0 {
            return Ok(innovations);
        }
        graph.tape.autoregression(innovations, self.correlation)
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

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_autograd::Tape;
    use vdn_model::core::{Bindings, Mode, Parameters};
    use vdn_tensor::noise::NoiseKey;

    const UNITS: usize = 400;
    const STEPS: usize = 5;

    /// The stored parameter and the loadings of a new head.
    fn loadings(correlation: f64) -> [Vec<f64>; 2] {
        let mut parameters = Parameters::<f64>::new();
        let mut builder = Builder::new(&mut parameters, 11);
        let head = JointHead::new(&mut builder.scope("head"), UNITS, STEPS, correlation);
        let stored = parameters.get(head.shared).tensor().data().to_vec();
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, key);
        let found = head.loadings(&mut graph).unwrap();
        [stored, tape.value(found).data().to_vec()]
    }

    #[test]
    fn loadings_are_an_autoregression_over_the_steps() {
        for correlation in [0.3, 0.9] {
            let [stored, found] = loadings(correlation);
            let rest = (1.0_f64 - correlation * correlation).sqrt();
            let mut want = stored[..UNITS].to_vec();
            for step in 0..STEPS {
                let innovations = &stored[step * UNITS..][..UNITS];
                if step > 0 {
                    let each = want.iter_mut().zip(innovations);
                    each.for_each(|(a, d)| *a = correlation * *a + rest * d);
                }
                for (a, b) in found[step * UNITS..][..UNITS].iter().zip(&want) {
                    assert!((a - b).abs() < 1e-15, "{correlation}, step {step}: {a}, {b}");
                }
            }
        }
        // Without a correlation, the loadings are the stored numbers, bit by bit, as in earlier
        // versions.
        let [stored, found] = loadings(0.0);
        assert_eq!(stored, found);
    }

    /// The loadings of every step start with the variance `1 / units`, and those of neighbouring
    /// steps with the correlation.
    #[test]
    fn neighbours_start_with_the_correlation() {
        const CORRELATION: f64 = 0.8;
        let [_, found] = loadings(CORRELATION);
        let row = |step: usize| &found[step * UNITS..][..UNITS];
        for step in 0..STEPS {
            // The sum of `UNITS` squares with the mean `1 / UNITS` is compared within five standard
            // errors.
            let square: f64 = row(step).iter().map(|a| a * a).sum();
            assert!((square - 1.0).abs() < 5.0 * (2.0 / UNITS as f64).sqrt(), "{square}");
            for lag in 1..STEPS - step {
                let product: f64 = row(step).iter().zip(row(step + lag)).map(|(a, b)| a * b).sum();
                let want = CORRELATION.powi(lag as i32);
                let error = ((1.0 + want * want) / UNITS as f64).sqrt();
                assert!((product - want).abs() < 5.0 * error, "{step} {lag}: {product}, {want}");
            }
        }
    }
}
