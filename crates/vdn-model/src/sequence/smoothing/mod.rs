//! [`SmoothedSequence`]: the smoothed posterior of a sequence that can be cut between any two
//! steps, and two ways to differentiate it.
//!
//! Messages are computed backward in time, latents forward; their gradients flow in the opposite
//! directions. [`checkpointed_smooth`] therefore makes four passes over the segments:
//!
//! 1. Backward, without gradients: the message from later segments to the last step of each
//!    segment.
//! 2. Forward, without gradients: the terms, and the latent before each segment.
//! 3. Backward: gradients through terms and latents, with messages held fixed. The gradient of the
//!    latent after each segment is kept.
//! 4. Forward: the terms and latents of a segment once more, for the gradients of its messages.
//!    These flow through the joining of messages to the steps' own messages, and on to the next
//!    segment.
//!
//! On one tape ([`smooth_terms`]), messages are recorded from the last step to the first, then
//! latents and terms from the first to the last. Its backward pass visits contributions in the
//! order of passes 3 and 4, so the gradients are the same to the last bit.

mod passes;

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::parameter::Parameters;
use crate::priors::{Prior, PriorSteps};
use crate::sequence::segments::{
    Checkpointed, Checkpoints, Gradients, Kept, Recorder, Totals, held,
};
use crate::sequence::unrolled::Past;
use crate::sequence::{Message, Posterior, Unroll};
use std::collections::BTreeSet;
use std::ops::Range;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// A sequence of units whose posterior is smoothed. Messages and terms may use parameters and their
/// own constants. They must not depend on anything else.
pub trait SmoothedSequence<T: Element> {
    /// Returns the prior of the units, of order 0 or 1.
    fn prior(&self) -> Prior;

    /// Returns the number of steps since step `t - 1`, at least 1.
    fn gap(&self, t: usize) -> u32 {
        let _ = t;
        1
    }

    /// Records the evidence of step `t` alone about its latent: mean and log-variance, as in
    /// [`Message`].
    ///
    /// # Errors
    /// Returns the errors of the operations.
    fn message(&self, graph: &mut Graph<'_, T>, t: usize) -> Result<[Var; 2], Error>;

    /// Records the terms of step `t`, one number each, from its latent and its divergence (both
    /// `[samples, batch, units]`). All steps have the same number of terms.
    ///
    /// # Errors
    /// Returns the errors of the operations.
    fn terms(&self, graph: &mut Graph<'_, T>, t: usize, z: Var, kl: Var)
    -> Result<Vec<Var>, Error>;
}

/// The settings common to all recordings of one sequence.
struct Plan<'a, S> {
    name: &'static str,
    sequence: &'a S,
    prior: Prior,
    how: Unroll,
    gaps: Vec<u32>,
}

impl<'a, S> Plan<'a, S> {
    fn new<T: Element>(
        name: &'static str,
        sequence: &'a S,
        steps: usize,
        how: Unroll,
    ) -> Result<Self, Error>
    where
        S: SmoothedSequence<T>,
    {
        let prior = sequence.prior();
        if prior.order() > 1 {
            let reason = format!("a prior of order {}; smoothing is for order 1", prior.order());
            return Err(Error::invalid(name, reason));
        }
        if steps == 0 || how.truncate == Some(0) || how.posterior != Posterior::Structured {
            let reason = format!(
                "{steps} steps, truncation {:?}, posterior {:?}",
                how.truncate, how.posterior
            );
            return Err(Error::invalid(name, reason));
        }
        let gaps = (1..steps).map(|t| sequence.gap(t)).collect::<BTreeSet<u32>>();
        if gaps.contains(&0) {
            return Err(Error::invalid(name, "a gap of 0 steps"));
        }
        Ok(Self { name, sequence, prior, how, gaps: gaps.into_iter().collect() })
    }

    fn shared<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<Vec<Var>, Error> {
        PriorSteps::new(graph, self.prior)?.shared(graph, &self.gaps)
    }

    fn steps<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        shared: &[Var],
    ) -> Result<PriorSteps, Error> {
        PriorSteps::from_shared(graph, self.prior, &self.gaps, shared)
    }

    /// Records the messages of a segment, the last step first. Each is joined with the message of
    /// the step after it; `later` is the message of the step after the segment, empty at the end of
    /// the sequence.
    fn messages<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
        shared: &[Var],
        later: &[Var],
    ) -> Result<Vec<[Var; 2]>, Error>
    where
        S: SmoothedSequence<T>,
    {
        let mut steps = self.steps(graph, shared)?;
        let mut next = <[Var; 2]>::try_from(later).ok();
        let mut joined = Vec::with_capacity(range.len());
        for t in range.rev() {
            let [mean, logvar] = self.sequence.message(graph, t)?;
            let transition = match next {
                None => None,
                Some(_) => steps.seen_through(graph, self.sequence.gap(t + 1))?,
            };
            let message = match (next, transition) {
                (Some(later), Some([phi, scale])) => {
                    graph.tape.combine_messages([mean, logvar], later, phi, scale)?
                }
                // Records a value of its own. If the message itself is a variable, the
                // contributions of latents to its gradient then come when messages are
                // differentiated.
                _ => [graph.tape.scale(mean, T::ONE)?, graph.tape.scale(logvar, T::ONE)?],
            };
            joined.push(message);
            next = Some(message);
        }
        joined.reverse();
        Ok(joined)
    }

    /// Records latents and terms of a segment after `state`, adds the terms to `totals`, and
    /// returns the state at the end.
    fn latents<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
        [shared, state]: [&[Var]; 2],
        joined: &[[Var; 2]],
        totals: &mut Totals,
    ) -> Result<Vec<Var>, Error>
    where
        S: SmoothedSequence<T>,
    {
        let mut steps = self.steps(graph, shared)?;
        let mut past = Past::from_vars(Posterior::Structured, state);
        for (t, &[mean, logvar]) in range.zip(joined) {
            if self.how.truncate.is_some_and(|every| t > 0 && t % every == 0) {
                past.detach(graph)?;
            }
            let message = Message { mean, logvar, gap: self.sequence.gap(t) };
            let step = (self.how, false);
            let (z, kl) = past.step(graph, self.prior, &mut steps, message, t as u64, step)?;
            let terms = self.sequence.terms(graph, t, z, kl)?;
            totals.add(self.name, graph.tape, terms)?;
        }
        Ok(past.vars(Posterior::Structured))
    }
}

/// Records `steps` steps of the smoothed posterior on the tape of `graph` and returns the sum of
/// each term over the steps, `[]` each. Latents and divergences are those of
/// [`smooth`](super::smooth). Memory is linear in the number of steps.
///
/// # Errors
/// Fails for zero steps, a prior of an order above 1, a posterior other than the structured one, or
/// an error of the sequence.
pub fn smooth_terms<T: Element>(
    graph: &mut Graph<'_, T>,
    sequence: &impl SmoothedSequence<T>,
    steps: usize,
    how: Unroll,
) -> Result<Vec<Var>, Error> {
    let plan = Plan::new("smooth_terms", sequence, steps, how)?;
    let shared = plan.shared(graph)?;
    let joined = plan.messages(graph, 0..steps, &shared, &[])?;
    let mut totals = Totals::default();
    plan.latents(graph, 0..steps, [&shared, &[]], &joined, &mut totals)?;
    Ok(totals.vars)
}

/// Computes the totals of [`smooth_terms`] and the gradient of `sum_j weights[j] total_j` with
/// respect to every parameter, segment by segment. The result has the same bits as on one tape.
/// Memory grows with the square root of the number of steps. Messages are recorded four times,
/// latents and terms three times.
///
/// The tape is reset. Afterwards it holds no values of use, only its memory.
///
/// ```
/// use vdn_autograd::{Error, ObservationFamily, Tape, Var};
/// use vdn_model::core::{Builder, Graph, Init, Mode, ParameterId, Parameters};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Checkpoints, SmoothedSequence, Unroll, checkpointed_smooth};
/// use vdn_tensor::noise::NoiseKey;
///
/// /// One unit seen in noise of learned scale: an observation is its own message.
/// struct Seen<'a> {
///     x: &'a [f64],
///     prior: OrderOne,
///     log_scale: ParameterId,
/// }
///
/// impl SmoothedSequence<f64> for Seen<'_> {
///     fn prior(&self) -> Prior {
///         Prior::OrderOne(self.prior)
///     }
///     fn message(&self, graph: &mut Graph<'_, f64>, t: usize) -> Result<[Var; 2], Error> {
///         let log_scale = graph.parameter(self.log_scale);
///         let mean = graph.tape.constant([1, 1], &self.x[t..=t])?;
///         Ok([mean, graph.tape.scale(log_scale, 2.0)?])
///     }
///     fn terms(&self, graph: &mut Graph<'_, f64>, t: usize, z: Var, kl: Var) -> Result<Vec<Var>, Error> {
///         let x = graph.tape.constant([1, 1], &self.x[t..=t])?;
///         let log_scale = graph.parameter(self.log_scale);
///         let log_density = graph.tape.log_density(ObservationFamily::Gaussian, z, log_scale, x)?;
///         Ok(vec![graph.tape.sum(log_density)?, graph.tape.sum(kl)?])
///     }
/// }
///
/// let mut parameters = Parameters::new();
/// let mut builder = Builder::new(&mut parameters, 0);
/// let prior = OrderOne::new(&mut builder, 1, OrderOneConfig::default())?;
/// let log_scale = builder.add("log_scale", [1], Init::Constant(0.0));
/// let x: Vec<f64> = (0..50).map(|t| f64::from(t).sin()).collect();
/// let seen = Seen { x: &x, prior, log_scale };
/// let key = NoiseKey::new(1, 0, 0);
/// let how = Checkpoints { segment: None, mode: Mode::Train, noise: key };
/// // One sample: the negative evidence lower bound is the divergence less the log-density.
/// let weights = [-1.0, 1.0];
/// let unroll = Unroll::new(1, key);
/// let found = checkpointed_smooth(&mut Tape::new(), &parameters, &seen, x.len(), &weights, unroll, how)?;
/// assert!(found.totals.iter().all(|total| total.is_finite()));
/// assert!(found.gradients.iter().all(Option::is_some));
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails as [`smooth_terms`] does, for an empty segment, and for different numbers of terms and
/// weights.
pub fn checkpointed_smooth<T: Element, S: SmoothedSequence<T>>(
    tape: &mut Tape<T>,
    parameters: &Parameters<T>,
    sequence: &S,
    steps: usize,
    weights: &[T],
    unroll: Unroll,
    how: Checkpoints,
) -> Result<Checkpointed<T>, ModelError> {
    const NAME: &str = "checkpointed_smooth";
    let segment = how.segment_of(NAME, steps)?;
    let plan = Plan::new(NAME, sequence, steps, unroll)?;
    let ranges: Vec<Range<usize>> =
        (0..steps).step_by(segment).map(|first| first..steps.min(first + segment)).collect();
    let mut recorder = Recorder::new(tape, parameters, how);
    let (said, states) = recorder.without_gradients(|recorder| {
        let said = plan.said_later(recorder, &ranges)?;
        let states = plan.states_before(recorder, &ranges, &said, weights.len())?;
        Ok::<_, Error>((said, states))
    })?;
    let mut kept = Kept::new(parameters.len());
    let mut after = vec![Gradients::new(); ranges.len()];
    for (k, range) in ranges.iter().enumerate().rev() {
        let inputs = [&said[k][..], &states[k]];
        let before = plan.through_latents(
            &mut recorder,
            range.clone(),
            inputs,
            weights,
            (&mut kept, &after[k]),
        )?;
        if k > 0 {
            after[k - 1] = before;
        }
    }
    let mut carried = Gradients::new();
    for (k, range) in ranges.iter().enumerate() {
        let inputs = [&said[k][..], &states[k]];
        let seeds = (weights, &after[k]);
        plan.through_messages(
            &mut recorder,
            range.clone(),
            inputs,
            seeds,
            (&mut kept, &mut carried),
        )?;
    }
    recorder.prologue(|graph| plan.shared(graph), &mut kept)?;
    let forward = said.iter().chain(&states).flatten().map(|tensor| tensor.shape().numel());
    let numbers = forward.sum::<usize>() + after.iter().map(|g| held(g)).sum::<usize>();
    Ok(recorder.finish(kept, numbers))
}
