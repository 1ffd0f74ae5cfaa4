//! [`Interventions`]: the methods of a network that allow the value of its units to be measured,
//! and the passes that measure it.

use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::evaluate::Evaluator;
use crate::network::Network;
use crate::network::NoiseSeed;
use rand::seq::SliceRandom;
use vdn_model::core::streams::{EVALUATION_ORDER, EVALUATION_STEP};
use vdn_model::core::{Graph, ModelError, Parameters};
use vdn_model::diagnostics::{Posteriors, UnitEffects};
use vdn_model::units::Intervention;
use vdn_tensor::Element;
use vdn_tensor::noise::{NoiseKey, NoiseRng};

/// A network whose latents can be replaced, to measure their downstream value.
///
/// The trait is separate from [`Network`]: a network can be trained without it. Its units are then
/// judged by their internal measures alone.
pub trait Interventions<T: Element, D: Examples<T>>: Network<T> {
    /// Records a pass under an intervention, and scores each example of the batch.
    ///
    /// Returns an error if the batch does not fit the network or if a prediction is not finite.
    /// A batch that does not fit the network; a prediction that is not finite.
    fn outcomes(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Self::Batch<'_>,
        intervention: Intervention,
        data: &D,
        examples: &[D::Index],
    ) -> Result<Vec<Outcome>, TrainError>;

    /// Returns the posteriors of the units of layer number `layer`, from 0.
    ///
    /// # Errors
    /// Returns an error if the batch does not fit the network or if the layer has no distributional
    /// units.
    fn posteriors(
        &self,
        parameters: &Parameters<T>,
        batch: &Self::Batch<'_>,
        key: NoiseKey,
        layer: usize,
    ) -> Result<Posteriors, ModelError>;

    /// Replaces the activities of each of `units` of a layer, one unit at a time, with `samples`
    /// samples of the latent, and measures the changes.
    ///
    /// # Errors
    /// Returns an error if the batch does not fit the network, if units do not exist, or if there
    /// are fewer than two samples.
    fn unit_effects(
        &self,
        parameters: &Parameters<T>,
        batch: &Self::Batch<'_>,
        key: NoiseKey,
        samples: usize,
        of: (usize, &[usize]),
    ) -> Result<UnitEffects, ModelError>;
}

/// The scores of the prediction of one example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The log-likelihood of the target given the latent, averaged over samples, in nats. For a
    /// network with a closed form it is the log-density of the target, without the latent.
    pub likelihood: f64,
    /// The network's own predictive score as a log-likelihood in nats. It may average over samples
    /// before the logarithm.
    pub score: f64,
    /// The exact CRPS of the predictive distribution.
    pub crps: f64,
    /// The value of the noise that the parts of the target share, in nats; `None` if the network
    /// has no closed form of it. It is the log-likelihood of the whole target minus the
    /// log-likelihoods of its parts, each with the same mean and deviation by itself.
    pub noise: Option<f64>,
}

/// The order in which examples are visited. It is shuffled if latents are swapped between
/// neighbours.
#[must_use]
pub fn order_under<I: Copy>(
    intervention: Intervention,
    examples: &[I],
    noise: NoiseSeed,
) -> Vec<I> {
    let mut order = examples.to_vec();
    if matches!(intervention, Intervention::Permute | Intervention::LayerPermute(_)) {
        order.shuffle(&mut NoiseRng::new(noise.key(EVALUATION_ORDER, EVALUATION_STEP)));
    }
    order
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// Computes the outcome of each example under an intervention, in the order of the examples. If
    /// latents are swapped, the outcomes are in the order of [`order_under`].
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a prediction is not finite.
    pub fn outcomes(
        &self,
        examples: &[D::Index],
        intervention: Intervention,
    ) -> Result<Vec<Outcome>, TrainError> {
        let order = order_under(intervention, examples, self.noise);
        let mut all = Vec::with_capacity(order.len());
        self.for_each_pass(&order, Request::INPUTS, |_, graph, batch, chunk| {
            let own = self.network.outcomes(graph, batch, intervention, self.data, chunk)?;
            all.extend(own);
            Ok(())
        })?;
        Ok(all)
    }

    /// The mean CRPS over examples, weighted by the rule for averages and by [`Examples::weight`],
    /// as in the table of a run.
    ///
    /// # Errors
    /// Returns the errors of [`Evaluator::mean_outcome`].
    pub fn mean_crps(&self, examples: &[D::Index]) -> Result<f64, TrainError> {
        let weight = |place: usize| self.data.weight(examples[place]);
        self.mean_by(examples, Intervention::None, weight, |outcome| outcome.crps)
    }

    /// The mean over examples of a part of their outcomes, weighted by the rule for averages.
    ///
    /// # Errors
    /// Returns an error if there are no examples, and the errors of [`Evaluator::outcomes`].
    pub fn mean_outcome(
        &self,
        examples: &[D::Index],
        intervention: Intervention,
        part: impl Fn(&Outcome) -> f64,
    ) -> Result<f64, TrainError> {
        self.mean_by(examples, intervention, |_| 1.0, part)
    }

    /// Like [`Evaluator::mean_outcome`], with a weight for each outcome by its position.
    fn mean_by(
        &self,
        examples: &[D::Index],
        intervention: Intervention,
        weight: impl Fn(usize) -> f64,
        part: impl Fn(&Outcome) -> f64,
    ) -> Result<f64, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::config("a mean over no examples"));
        }
        let outcomes = self.outcomes(examples, intervention)?;
        let (mut sum, mut total, mut place) = (0.0, 0.0, 0);
        for chunk in outcomes.chunks(self.averages.batch.max(1)) {
            let (mut own, mut weights) = (0.0, 0.0);
            for outcome in chunk {
                let weight = weight(place);
                own += weight * part(outcome);
                weights += weight;
                place += 1;
            }
            let of_batch = self.averages.weight(outcomes.len(), chunk.len());
            sum += of_batch * own;
            total += of_batch * weights;
        }
        Ok(sum / total)
    }
}
