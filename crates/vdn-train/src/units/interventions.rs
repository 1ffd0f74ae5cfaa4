//! [`Interventions`]: what a network offers so that the worth of its units can be measured, and the
//! passes that measure it.

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

/// A network whose latents can be replaced, to measure what they are worth downstream.
///
/// The trait is separate from [`Network`]: a network without it trains all the same, and its units
/// are judged by their internal measures alone.
pub trait Interventions<T: Element, D: Examples<T>>: Network<T> {
    /// Records a pass under an intervention, and scores each example of the batch.
    ///
    /// # Errors
    /// A batch that does not fit the network; a prediction that is not finite.
    fn outcomes(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Self::Batch<'_>,
        intervention: Intervention,
        data: &D,
        examples: &[D::Index],
    ) -> Result<Vec<Outcome>, TrainError>;

    /// The posteriors of the units of layer number `layer`, from 0.
    ///
    /// # Errors
    /// A batch that does not fit the network; a layer without distributional units.
    fn posteriors(
        &self,
        parameters: &Parameters<T>,
        batch: &Self::Batch<'_>,
        key: NoiseKey,
        layer: usize,
    ) -> Result<Posteriors, ModelError>;

    /// Replaces the activities of each of `units` of a layer, one after the other, with `samples`
    /// samples of the latent, and measures what changes.
    ///
    /// # Errors
    /// A batch that does not fit the network; units that do not exist; fewer than two samples.
    fn unit_effects(
        &self,
        parameters: &Parameters<T>,
        batch: &Self::Batch<'_>,
        key: NoiseKey,
        samples: usize,
        of: (usize, &[usize]),
    ) -> Result<UnitEffects, ModelError>;
}

/// How one example was predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The mean over samples of the log-likelihood of its target given the latent, in nats; of a
    /// network with a closed form the log-density of the target, without the latent.
    pub likelihood: f64,
    /// The network's own predictive score, which may mix over samples before the logarithm, as a
    /// log-likelihood in nats.
    pub score: f64,
    /// The exact CRPS of its predictive distribution.
    pub crps: f64,
    /// What the noise that the parts of its target share brings, in nats: the log-likelihood of the
    /// whole target less those of its parts, each with the same mean and deviation by itself.
    /// `None` where the network has no closed form of it.
    pub noise: Option<f64>,
}

/// The order in which examples are visited: shuffled where latents are swapped between neighbours.
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
    /// How each example is predicted under an intervention, in their order; where latents are
    /// swapped, in the order of [`order_under`].
    ///
    /// # Errors
    /// Examples that do not fit the network; a prediction that is not finite.
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

    /// The mean CRPS over examples, weighed as averages are formed and by [`Examples::weight`], as
    /// in the table of a run.
    ///
    /// # Errors
    /// Returns the errors of [`Evaluator::mean_outcome`].
    pub fn mean_crps(&self, examples: &[D::Index]) -> Result<f64, TrainError> {
        let weight = |place: usize| self.data.weight(examples[place]);
        self.mean_by(examples, Intervention::None, weight, |outcome| outcome.crps)
    }

    /// The mean over examples of a part of their outcomes, weighed as averages are formed.
    ///
    /// # Errors
    /// No examples; those of [`Evaluator::outcomes`].
    pub fn mean_outcome(
        &self,
        examples: &[D::Index],
        intervention: Intervention,
        part: impl Fn(&Outcome) -> f64,
    ) -> Result<f64, TrainError> {
        self.mean_by(examples, intervention, |_| 1.0, part)
    }

    /// [`Evaluator::mean_outcome`], with the weight of each outcome by its place.
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
