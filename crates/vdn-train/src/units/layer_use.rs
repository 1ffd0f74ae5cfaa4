//! [`LayerUse`]: the downstream value of the information of units.

use crate::data::Examples;
use crate::error::TrainError;
use crate::evaluate::{BatchAverages, Evaluator};
use crate::metrics::BlockSums;
use crate::units::interventions::Interventions;
use serde::Serialize;
use vdn_model::units::Intervention;
use vdn_tensor::Element;

/// The downstream value of the information of all units together, or of the units of one layer, and
/// its cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerUse {
    /// The number of windows.
    pub windows: usize,
    /// The mean log-likelihood of a window's target given a sample of the latent, in nats per
    /// window. If [`LayerUse::noise_value`] is known, it is the sum of the log-densities of the
    /// parts of the target.
    pub likelihood: f64,
    /// The same likelihood with the latent drawn from the prior.
    pub prior_likelihood: f64,
    /// The difference of the two likelihoods: the value of the units in nats per window.
    pub value: f64,
    /// The block standard error of the value; `None` with too few windows.
    pub value_error: Option<f64>,
    /// The value of the units by the model's own predictive score, which averages over samples
    /// before the logarithm, in nats per window: `H (score(z ~ p) - score(z ~ q))`.
    pub score_value: f64,
    /// The block standard error of the value by score; `None` with too few windows.
    pub score_value_error: Option<f64>,
    /// The value of the noise that the parts of a target share through the units, in nats per
    /// window ([`Outcome::noise`](crate::units::Outcome::noise)); `None` if the network has no
    /// closed form of it.
    pub noise_value: Option<f64>,
    /// The block standard error of the noise's value; `None` with too few windows.
    pub noise_value_error: Option<f64>,
    /// The cost of the units, the sum of all KLs, in nats per window.
    pub kl: f64,
    /// The sum of both values (information and noise) minus the cost.
    pub net: f64,
    /// The block standard error of the net value, with the cost as given; `None` with too few
    /// windows.
    pub net_error: Option<f64>,
    /// The exact CRPS.
    pub crps: f64,
    /// The CRPS with latents swapped between windows.
    pub crps_permuted: f64,
}

impl LayerUse {
    /// Whether the units are used: their value, by information or by shared noise, exceeds two
    /// standard errors.
    #[must_use]
    pub fn is_used(&self) -> bool {
        let clear = |value: f64, error: Option<f64>| value > 2.0 * error.unwrap_or(f64::INFINITY);
        clear(self.value, self.value_error)
            || self.noise_value.is_some_and(|value| clear(value, self.noise_value_error))
    }

    /// Whether the units are used by the model's own predictive score.
    ///
    /// The mean over samples of a log-likelihood also penalises the spread of the samples, which a
    /// mixture may use without cost. Therefore a layer can pass by one criterion and not by the
    /// other.
    #[must_use]
    pub fn is_used_by_score(&self) -> bool {
        self.score_value > 2.0 * self.score_value_error.unwrap_or(f64::INFINITY)
    }
}

/// The sums of several columns over examples, for means and block standard errors.
pub(crate) fn estimates<T: Element, D: Examples<T>>(
    data: &D,
    examples: &[D::Index],
    columns: usize,
    value: impl Fn(usize, &mut [f64]),
) -> Result<BlockSums, TrainError> {
    let mut sums = BlockSums::new(columns, data.block(examples))?;
    let mut row = vec![0.0; columns];
    for (i, &example) in examples.iter().enumerate() {
        if i > 0 && data.group(examples[i - 1]) != data.group(example) {
            sums.start_series();
        }
        value(i, &mut row);
        sums.push(&row)?;
    }
    Ok(sums)
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// Measures the value and cost of all units together on examples, or of the units of one layer
    /// (from 0) with the others unchanged. `kl` is the sum of their KLs in nats per example.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a prediction is not finite.
    pub fn layer_use(
        &self,
        examples: &[D::Index],
        layer: Option<usize>,
        kl: f64,
    ) -> Result<LayerUse, TrainError> {
        let own = self.averaging(BatchAverages::default());
        let (blind, mixed) = match layer {
            None => (Intervention::Prior, Intervention::Permute),
            Some(layer) => (Intervention::LayerPrior(layer), Intervention::LayerPermute(layer)),
        };
        let with = own.outcomes(examples, Intervention::None)?;
        let without = own.outcomes(examples, blind)?;
        let sums = estimates(self.data, examples, 7, |i, to| {
            let (a, b) = (&with[i], &without[i]);
            let noise = a.noise.unwrap_or(0.0);
            // The likelihood without the value of shared noise, which is counted separately.
            let [a_alone, b_alone] = [a, b].map(|o| o.likelihood - o.noise.unwrap_or(0.0));
            to.copy_from_slice(&[
                a_alone,
                b_alone,
                a_alone - b_alone,
                a.score - b.score,
                a.crps,
                noise,
                a_alone - b_alone + noise,
            ]);
        })?;
        let (value, score, all) = (sums.estimate(2)?, sums.estimate(3)?, sums.estimate(6)?);
        let known = with.iter().all(|outcome| outcome.noise.is_some());
        let noise = known.then(|| sums.estimate(5)).transpose()?;
        Ok(LayerUse {
            windows: examples.len(),
            likelihood: sums.estimate(0)?.mean,
            prior_likelihood: sums.estimate(1)?.mean,
            value: value.mean,
            value_error: value.standard_error,
            score_value: score.mean,
            score_value_error: score.standard_error,
            noise_value: noise.map(|noise| noise.mean),
            noise_value_error: noise.and_then(|noise| noise.standard_error),
            kl,
            net: all.mean - kl,
            net_error: all.standard_error,
            crps: sums.estimate(4)?.mean,
            crps_permuted: own.mean_outcome(examples, mixed, |outcome| outcome.crps)?,
        })
    }
}
