//! The passes over a sequence on the tape.
//!
//! [`unroll`] visits the steps forward in time. At each step it does the following:
//!
//! 1. If the step is a multiple of [`Unroll::truncate`], gradients are cut off from the past.
//! 2. The prior of the step is recorded from the past ([`PriorSteps`]): from the last latents or,
//!    for mean field and the penalty, from their moments.
//! 3. The structured posterior combines the prior with the step's message. For the other posteriors
//!    the message is the posterior.
//! 4. A latent is drawn, and the divergence from the prior is computed. The step becomes part of
//!    the past.
//!
//! [`smooth`] first joins every message with the later messages, backward in time, and then does
//! the same.
//!
//! Memory is linear in the number of steps: each step keeps its latent and its divergence,
//! `[samples, batch, units]` numbers each, and a few small values.

use crate::core::graph::Graph;
use crate::priors::{Prior, PriorSteps};
use crate::sequence::Posterior;
use vdn_autograd::{ConditionalPrior, Error, Noise, SampleKl, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The evidence of one step about its latent.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The mean, `[batch, units]`: of the message, or of the mean-field posterior.
    pub mean: Var,
    /// The log-variance, `[batch, units]` or a shape that broadcasts to it. It is infinite where
    /// nothing was observed (structured posterior only): the step then is a draw from the prior and
    /// costs exactly 0.
    pub logvar: Var,
    /// The number of steps since the last message, at least 1; ignored at the first step.
    pub gap: u32,
}

/// The settings of a pass over a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Unroll {
    /// The form of the posterior.
    pub posterior: Posterior,
    /// The number of trajectories per sequence.
    pub samples: usize,
    /// The noise. Step `t` uses the key derived from it by `fold_in(t)`.
    pub noise: NoiseKey,
    /// Truncated backpropagation: gradients do not cross multiples of this many steps. `None`: they
    /// reach the start.
    pub truncate: Option<usize>,
}

impl Unroll {
    /// Creates settings for the structured posterior with gradients that reach the start.
    #[must_use]
    pub fn new(samples: usize, noise: NoiseKey) -> Self {
        Self { posterior: Posterior::Structured, samples, noise, truncate: None }
    }
}

/// A posterior along a sequence, with one entry per step.
#[derive(Clone, Debug, Default)]
pub struct Unrolled {
    /// The latents, `[samples, batch, units]`.
    pub z: Vec<Var>,
    /// The divergences from the prior in nats. For the structured posterior they are given the
    /// previous latent, `[samples, batch, units]`; for the other posteriors they are
    /// `[batch, units]`.
    pub kl: Vec<Var>,
}

impl Unrolled {
    /// Records the sum of all divergences over steps and units, averaged over samples and batch, in
    /// nats: `[]`.
    ///
    /// # Errors
    /// Fails if there are no steps.
    pub fn total_kl<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<Var, Error> {
        let mut total = None;
        for &kl in &self.kl {
            let shape = *graph.tape.shape(kl);
            let draws = (shape.numel() / shape.last().max(1)) as f64;
            let sum = graph.tape.sum(kl)?;
            let mean = graph.tape.scale(sum, T::from_f64(1.0 / draws))?;
            total = Some(match total {
                Some(total) => graph.tape.add(total, mean)?,
                None => mean,
            });
        }
        total.ok_or_else(|| Error::invalid("total_kl", "a sequence without steps"))
    }
}

/// Applies the prior and the posterior step by step. Previous latents stay on the tape
/// (backpropagation through time).
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Message, Unroll, unroll};
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f64>::new();
/// let config = OrderOneConfig::default();
/// let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 2, config)?;
/// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// let key = NoiseKey::new(1, 0, 0);
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// let mean = graph.tape.constant([1, 2], &[0.3, -0.1])?;
/// let [seen, missing] = [0.0, f64::INFINITY].map(|r| graph.tape.constant([], &[r]).unwrap());
/// let messages = [seen, missing].map(|logvar| Message { mean, logvar, gap: 1 });
/// let out = unroll(&mut graph, Prior::OrderOne(prior), &messages, Unroll::new(4, key))?;
/// assert_eq!(graph.tape.shape(out.z[0]).dims(), &[4, 1, 2]);
/// assert!(graph.tape.value(out.kl[1]).data().iter().all(|&kl| kl == 0.0));
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails if shapes do not match, for a gap that the prior cannot cross, and for a truncation of 0
/// steps.
pub fn unroll<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    messages: &[Message],
    how: Unroll,
) -> Result<Unrolled, Error> {
    let mut steps = PriorSteps::new(graph, prior)?;
    unroll_with(graph, prior, &mut steps, messages, how)
}

/// Records the structured posterior with unchanged messages, each of which depends on the past
/// alone. Truncation and samples are taken from `how`.
///
/// # Errors
/// Fails as [`unroll`] does.
pub fn filter<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    messages: &[Message],
    how: Unroll,
) -> Result<Unrolled, Error> {
    unroll(graph, prior, messages, Unroll { posterior: Posterior::Structured, ..how })
}

/// Records the structured posterior given the whole sequence.
///
/// From the last step to the first, each message is joined with the later messages, seen through
/// the prior. For a linear Gaussian model the result is the exact posterior, so the bound equals
/// the likelihood. Gradients flow through the messages, too.
///
/// # Errors
/// Fails as [`unroll`] does, and for a prior of an order above 1: its messages would have that many
/// dimensions.
pub fn smooth<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    messages: &[Message],
    how: Unroll,
) -> Result<Unrolled, Error> {
    if prior.order() > 1 {
        let reason = format!("a prior of order {}; smoothing is for order 1", prior.order());
        return Err(Error::invalid("smooth", reason));
    }
    let mut steps = PriorSteps::new(graph, prior)?;
    let mut joined = messages.to_vec();
    for t in (1..joined.len()).rev() {
        let next = joined[t];
        if let Some([phi, logvar]) = steps.seen_through(graph, next.gap)? {
            let Message { mean, logvar: local, gap } = joined[t - 1];
            let [mean, logvar] = graph.tape.combine_messages(
                [mean, local],
                [next.mean, next.logvar],
                phi,
                logvar,
            )?;
            joined[t - 1] = Message { mean, logvar, gap };
        }
    }
    let how = Unroll { posterior: Posterior::Structured, ..how };
    unroll_with(graph, prior, &mut steps, &joined, how)
}

fn unroll_with<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    steps: &mut PriorSteps,
    messages: &[Message],
    how: Unroll,
) -> Result<Unrolled, Error> {
    if how.truncate == Some(0) {
        return Err(Error::invalid("unroll", "a truncation after 0 steps"));
    }
    let mut out = Unrolled::default();
    let mut past = Past::default();
    for (t, message) in messages.iter().enumerate() {
        if how.truncate.is_some_and(|every| t > 0 && t % every == 0) {
            past.detach(graph)?;
        }
        let (z, kl) = past.step(graph, prior, steps, *message, t as u64, (how, false))?;
        out.z.push(z);
        out.kl.push(kl);
    }
    Ok(out)
}

/// The values that a step needs of the steps before it, the last first: latents or, for posteriors
/// without samples of the past, their moments.
#[derive(Clone, Debug, Default)]
pub struct Past {
    latents: Vec<Var>,
    moments: Vec<[Var; 2]>,
}

impl Past {
    /// Returns the variables, in an order for another tape.
    pub fn vars(&self, posterior: Posterior) -> Vec<Var> {
        match posterior {
            Posterior::Structured => self.latents.clone(),
            _ => self.moments.as_flattened().to_vec(),
        }
    }

    /// Creates the past from variables in the order of [`Past::vars`].
    pub fn from_vars(posterior: Posterior, vars: &[Var]) -> Self {
        match posterior {
            Posterior::Structured => Self { latents: vars.to_vec(), moments: Vec::new() },
            _ => Self { latents: Vec::new(), moments: vars.as_chunks().0.to_vec() },
        }
    }

    /// Returns the latents, the last first; empty for posteriors without samples of the past.
    #[must_use]
    pub fn latents(&self) -> &[Var] {
        &self.latents
    }

    /// Detaches the past, so that no gradient flows through it.
    ///
    /// # Errors
    /// Fails if the tape is full.
    pub fn detach<T: Element>(&mut self, graph: &mut Graph<'_, T>) -> Result<(), Error> {
        for var in self.latents.iter_mut().chain(self.moments.as_flattened_mut()) {
            *var = graph.tape.detach(*var)?;
        }
        Ok(())
    }

    /// Records step `t`, makes it the last, and returns its latent and its divergence. With `mean`,
    /// the divergence of the structured posterior is averaged over samples and batch, `[units]`.
    pub fn step<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        prior: Prior,
        steps: &mut PriorSteps,
        message: Message,
        t: u64,
        (how, mean_kl): (Unroll, bool),
    ) -> Result<(Var, Var), Error> {
        let noise = Noise::Addressed(how.noise.fold_in(t));
        let Message { mean, logvar, gap } = message;
        match how.posterior {
            Posterior::Structured => {
                let before = steps.next(graph, &self.latents, gap)?;
                let step = match mean_kl {
                    true => {
                        let tape = &mut *graph.tape;
                        tape.structured_step_mean(mean, logvar, before, how.samples, noise)?
                    }
                    false => {
                        graph.tape.structured_step(mean, logvar, before, how.samples, noise)?
                    }
                };
                self.latents.insert(0, step.z);
                self.latents.truncate(prior.order());
                Ok((step.z, step.kl))
            }
            Posterior::MeanField | Posterior::Penalty => {
                let (own, before) = steps.next_of_moments(graph, &self.moments, gap)?;
                let before = if how.posterior == Posterior::Penalty { None } else { before };
                let kl = graph.tape.kl_autoregressive(mean, logvar, own, before)?;
                let units =
                    graph.tape.sample_kl(mean, logvar, SampleKl::new(how.samples, noise))?;
                self.moments.insert(0, [mean, logvar]);
                self.moments.truncate(prior.order());
                Ok((units.z, kl))
            }
        }
    }
}

/// Draws the latent `gap` steps beyond the end from the prior. `history` holds the last latents,
/// the last first: as many as the prior's order, or as many as exist.
///
/// # Errors
/// Fails as [`PriorSteps::next`] does, and for an empty history, whose shape the result would take.
pub fn predict<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    history: &[Var],
    gap: u32,
    noise: NoiseKey,
) -> Result<Var, Error> {
    let Some(&last) = history.first() else {
        return Err(Error::invalid("predict", "needs at least one earlier latent"));
    };
    let shape = *graph.tape.shape(last);
    let samples = *shape.dims().first().unwrap_or(&1);
    let ConditionalPrior { previous, phi, logvar } =
        PriorSteps::new(graph, prior)?.next(graph, history, gap)?;
    let prior = ConditionalPrior { previous, phi, logvar };
    let nothing = graph.tape.constant_with(shape, |to| to.fill(T::ZERO))?;
    let missing = graph.tape.constant([], &[T::from_f64(f64::INFINITY)])?;
    let noise = Noise::Addressed(noise);
    Ok(graph.tape.structured_step(nothing, missing, prior, samples, noise)?.z)
}
