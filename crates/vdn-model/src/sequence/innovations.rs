//! [`Innovations`]: the posteriors along a sequence on the scale of their priors, as rows of one
//! layer of units. Statistics, controllers and diagnostics then work as for any layer.
//!
//! Given the step before it, a unit at step `t` has the prior `Normal(phi z_{t-1}, s^2)`. A message
//! `Normal(z; m, r)` turns the prior into the posterior. On the scale where the prior is
//! `Normal(0, 1)`, the posterior is
//!
//! ```text
//! Normal(u, v),    u = g (m - phi z_{t-1}) / s,    v = 1 - g,    g = s^2 / (s^2 + r)
//! ```
//!
//! There is a row `(u, ln v)` for every sample, sequence and step. These measures follow from the
//! rows:
//!
//! * The KL, `(M2 + D0)/2`, is the divergence of the bound in nats per step.
//! * The rate, `(ln(C2 + V) - Lv)/2`, is the information that a unit adds to its past. It is 0 for
//!   a unit that follows its prior, however persistent the unit is. If `s` is the same at every
//!   step, the rate equals the rate of [`sequence_measures`](crate::sequence::sequence_measures),
//!   except that the first step counts here.
//! * The mismatch is the difference between the two.

use crate::core::graph::Graph;
use crate::priors::{Prior, PriorSteps};
use crate::sequence::measures::mean_where_seen;
use crate::sequence::{Message, Unrolled};
use crate::units::LayerOutput;
use vdn_autograd::{ConditionalPrior, Error, Noise, SampleKl, Tape, Var};
use vdn_tensor::Element;

/// Steps whose priors have the same coefficient and scale.
#[derive(Clone, Debug)]
struct Group {
    prior: ConditionalPrior,
    /// The latents before each step; empty if the prior does not depend on them.
    previous: Vec<Var>,
    means: Vec<Var>,
    logvars: Vec<Var>,
}

/// The steps of a structured pass in order, and the measures of their posteriors.
#[derive(Clone, Debug, Default)]
pub struct Innovations {
    groups: Vec<Group>,
}

impl Innovations {
    /// Creates a collection without steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step: its message, and its prior given the steps before
    /// ([`PriorSteps::next`](crate::priors::PriorSteps::next)). All messages of a sequence have the
    /// same batch.
    pub fn push<T: Element>(&mut self, tape: &Tape<T>, message: &Message, prior: ConditionalPrior) {
        let on_latents = tape.shape(prior.previous).rank() == 3;
        let joins = self.groups.last().is_some_and(|last| {
            let same = [last.prior.phi, last.prior.logvar] == [prior.phi, prior.logvar];
            let alike = last.previous.is_empty() != on_latents;
            same && alike && (on_latents || last.prior.previous == prior.previous)
        });
        if !joins {
            let (previous, means, logvars) = (Vec::new(), Vec::new(), Vec::new());
            self.groups.push(Group { prior, previous, means, logvars });
        }
        let Some(group) = self.groups.last_mut() else { return };
        if on_latents {
            group.previous.push(prior.previous);
        }
        group.means.push(message.mean);
        group.logvars.push(message.logvar);
    }

    /// Records the posteriors, and the statistics of every unit over samples, sequences and steps.
    ///
    /// No samples are drawn. `z` and `units.z` of the output repeat the means, because the samples
    /// of a sequence are the latents of its pass.
    ///
    /// # Errors
    /// Fails if there are no steps, if messages are not `[batch, units]`, or if the latents have
    /// another number of samples than `samples`.
    pub fn output<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        samples: usize,
    ) -> Result<LayerOutput, Error> {
        let wants_rows = graph.wants_kl_rows();
        let tape = &mut *graph.tape;
        let (mut means, mut logvars) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let [mean, logvar] = group.rows(tape, samples)?;
            means.push(mean);
            logvars.push(logvar);
        }
        if means.is_empty() {
            return Err(Error::invalid("innovations", "a sequence without steps"));
        }
        let mu = joined(tape, &means)?;
        let logvar = joined(tape, &logvars)?;
        let [rows, units] = [tape.shape(mu).rows(), tape.shape(mu).last()];
        let none = tape.constant_with([1, rows, units], |to| to.fill(T::ZERO))?;
        let how = SampleKl { emit_kl: wants_rows, ..SampleKl::new(1, Noise::Given(none)) };
        let units = tape.sample_kl(mu, logvar, how)?;
        Ok(LayerOutput { z: units.z, mu, logvar, units })
    }
}

impl Group {
    /// Records means and log-variances on the scale of the priors,
    /// `[samples * steps * batch, units]`.
    fn rows<T: Element>(&self, tape: &mut Tape<T>, samples: usize) -> Result<[Var; 2], Error> {
        let shape = *tape.shape(self.means[0]);
        let &[batch, units] = shape.dims() else {
            let reason = format!("a message has the shape {shape}, not [batch, units]");
            return Err(Error::invalid("innovations", reason));
        };
        let rows = self.means.len() * batch;
        let mean = joined(tape, &self.means)?;
        let mut logvars = Vec::with_capacity(self.logvars.len());
        for &logvar in &self.logvars {
            logvars.push(match *tape.shape(logvar) == shape {
                true => logvar,
                false => tape.broadcast_to(logvar, shape)?,
            });
        }
        let logvar = joined(tape, &logvars)?;
        let mean = mean_where_seen(tape, &Message { mean, logvar, gap: 1 })?;
        let ConditionalPrior { previous, phi, logvar: log_s2 } = self.prior;
        let previous = match self.previous.is_empty() {
            true => previous,
            false => tape.concat(&self.previous, 1)?,
        };
        let distance = tape.sub(log_s2, logvar)?;
        let gain = tape.sigmoid(distance)?;
        let inverse = tape.scale(log_s2, T::from_f64(-0.5))?;
        let inverse = tape.exp(inverse)?;
        let weight = tape.mul(gain, inverse)?;
        let carried = tape.mul(previous, phi)?;
        let surprise = tape.sub(mean, carried)?;
        let mu = tape.mul(surprise, weight)?;
        let narrowed = tape.softplus(distance)?;
        let logvar = tape.neg(narrowed)?;
        let mut all = [mu, logvar];
        for x in &mut all {
            // Under a prior without memory, and at the first step, all samples are the same.
            let whole = tape.broadcast_to(*x, [samples, rows, units])?;
            *x = tape.reshape(whole, [samples * rows, units])?;
        }
        Ok(all)
    }
}

/// Records the concatenation of `parts` along the first axis.
fn joined<T: Element>(tape: &mut Tape<T>, parts: &[Var]) -> Result<Var, Error> {
    match parts {
        [one] => Ok(*one),
        _ => tape.concat(parts, 0),
    }
}

/// Records the [`Innovations`] of a structured pass. `messages` are the messages from which
/// `unrolled` was made, by [`filter`](crate::sequence::filter) or by
/// [`unroll`](crate::sequence::unroll) without truncation.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Message, Unroll, filter, sequence_output};
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f64>::new();
/// let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 2, OrderOneConfig::default())?;
/// let (mut tape, mut bindings, key) = (Tape::new(), Bindings::new(), NoiseKey::new(1, 0, 0));
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// // Two steps of three sequences.
/// let mean = graph.tape.constant([3, 2], &[0.3, -0.1, 0.9, 0.2, -1.0, 0.4])?;
/// let logvar = graph.tape.constant([], &[0.0])?;
/// let messages = [Message { mean, logvar, gap: 1 }; 2];
/// let prior = Prior::OrderOne(prior);
/// let unrolled = filter(&mut graph, prior, &messages, Unroll::new(4, key))?;
/// let output = sequence_output(&mut graph, prior, &messages, &unrolled)?;
/// assert_eq!(graph.tape.shape(output.mu).dims(), &[4 * 2 * 3, 2]);
/// // The KL of the units is the divergence of the bound, per step.
/// let kl = graph.tape.unit_kl(&output.units)?;
/// let sum = graph.tape.sum(kl)?;
/// let total = unrolled.total_kl(&mut graph)?;
/// assert!((2.0 * tape.scalar(sum)? - tape.scalar(total)?).abs() < 1e-12);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails if the numbers of messages and latents differ, and as [`Innovations::output`] and
/// [`PriorSteps::next`](crate::priors::PriorSteps::next) do.
pub fn sequence_output<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    messages: &[Message],
    unrolled: &Unrolled,
) -> Result<LayerOutput, Error> {
    let (steps, wanted) = (unrolled.z.len(), messages.len());
    if steps != wanted {
        let reason = format!("{wanted} messages, {steps} latents");
        return Err(Error::invalid("sequence_output", reason));
    }
    let mut priors = PriorSteps::new(graph, prior)?;
    let (mut innovations, mut samples) = (Innovations::new(), 1);
    for (t, message) in messages.iter().enumerate() {
        let past: Vec<Var> = unrolled.z[..t].iter().rev().take(prior.order()).copied().collect();
        let before = priors.next(graph, &past, message.gap)?;
        innovations.push(graph.tape, message, before);
        samples = graph.tape.shape(unrolled.z[t]).dims()[0];
    }
    innovations.output(graph, samples)
}
