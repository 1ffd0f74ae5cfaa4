//! The rate and the persistence of units along a sequence, as differentiable functions of the
//! posterior's samples.
//!
//! ```text
//! rho_i = 2 Cov(z_t, z_{t-1}) / (Var z_t + Var z_{t-1})          centred by the mean over all steps
//! R_i   = [ ln Var(z_t - phi_i z_{t-1}) - E ln Var(z_t | z_{t-1}, h_t) ] / 2     nats per step
//!       = [ ln(C2 + V) - E ln v ] / 2,    C2 = Var(g (m - phi z_{t-1})),  v = s^2 (1 - g),  V = E v
//! ```
//!
//! The moments are taken over samples, batch and steps.
//!
//! * By the law of total covariance, `rho` is the persistence of the aggregate posterior,
//!   `[Cov(mu_t, mu_{t-1}) + E Cov_q(z_t, z_{t-1})] / [Var mu + V]`: the samples contain both
//!   parts.
//! * `R` is the rate of a unit given its past. With `phi = 0` it is the rate of a layer without
//!   memory. It is 0 for a unit that follows its prior, however persistent the unit is.
//! * Gradients reach `phi` and `s` of the prior and, through the gain `s^2 / (s^2 + r)`, the
//!   messages.

use crate::core::graph::Graph;
use crate::objective::SequenceMeasures;
use crate::priors::Prior;
use crate::sequence::{Message, Unrolled};
use vdn_autograd::{Error, Gap, Tape, Var};
use vdn_tensor::Element;

/// Records the measures of a structured posterior under a prior of order one. `messages` are the
/// messages from which `unrolled` was made (by [`filter`](crate::sequence::filter) or
/// [`unroll`](crate::sequence::unroll)): at least three, each one step after the last.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Message, Unroll, filter, sequence_measures};
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f64>::new();
/// let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 2, OrderOneConfig::default())?; // phi = 0.5
/// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// let key = NoiseKey::new(1, 0, 0);
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// // Nothing is seen: units follow their prior.
/// let mean = graph.tape.constant_with([64, 2], |to| to.fill(0.0))?;
/// let logvar = graph.tape.constant([], &[f64::INFINITY])?;
/// let messages = vec![Message { mean, logvar, gap: 1 }; 40];
/// let prior = Prior::OrderOne(prior);
/// let unrolled = filter(&mut graph, prior, &messages, Unroll::new(4, key))?;
/// let measures = sequence_measures(&mut graph, prior, &messages, &unrolled)?;
/// assert!(tape.value(measures.persistence).data().iter().all(|rho| (rho - 0.5).abs() < 0.05));
/// assert!(tape.value(measures.rate).data().iter().all(|rate| rate.abs() < 0.02));
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails for another kind of prior, for fewer than three steps, and for a gap between steps.
pub fn sequence_measures<T: Element>(
    graph: &mut Graph<'_, T>,
    prior: Prior,
    messages: &[Message],
    unrolled: &Unrolled,
) -> Result<SequenceMeasures, Error> {
    let refuse = |reason: String| Err(Error::invalid("sequence_measures", reason));
    let Prior::OrderOne(order_one) = prior else {
        return refuse(format!("a prior of order one is wanted, not {prior:?}"));
    };
    let steps = unrolled.z.len();
    if steps < 3 || messages.len() != steps || messages[1..].iter().any(|m| m.gap != 1) {
        return refuse(format!(
            "{} messages, {steps} latents: as many, 3 at least, no gaps",
            messages.len()
        ));
    }
    let [phi, log_s2] = order_one.transition(graph, Gap::Steps(1))?;
    let tape = &mut *graph.tape;
    let persistence = step_persistence(tape, &unrolled.z)?;
    // Given the past, z_t - phi z_{t-1} has the mean g (m - phi z_{t-1}) and the variance s^2 (1 -
    // g).
    let mut drawn = Vec::with_capacity(steps - 1);
    let (mut variance, mut log_variance) = (None, None);
    for (message, &past) in messages[1..].iter().zip(&unrolled.z) {
        let distance = tape.sub(log_s2, message.logvar)?;
        let gain = tape.sigmoid(distance)?;
        let carried = tape.mul(past, phi)?;
        let seen = mean_where_seen(tape, message)?;
        let surprise = tape.sub(seen, carried)?;
        drawn.push(tape.mul(surprise, gain)?);
        let narrowed = tape.softplus(distance)?;
        let own_log = tape.sub(log_s2, narrowed)?;
        let own = tape.exp(own_log)?;
        for (sum, x) in [(&mut variance, own), (&mut log_variance, own_log)] {
            let x = match tape.shape(x).dims().len() {
                2 => tape.mean_axis(x, 0)?,
                _ => x,
            };
            *sum = Some(match *sum {
                Some(sum) => tape.add(sum, x)?,
                None => x,
            });
        }
    }
    let (Some(variance), Some(log_variance)) = (variance, log_variance) else {
        unreachable!("there are three steps")
    };
    let drawn = tape.concat(&drawn, 0)?;
    let centre = mean_of(tape, drawn)?;
    let drawn = tape.sub(drawn, centre)?;
    let square = tape.square(drawn)?;
    let spread = mean_of(tape, square)?;
    let share = T::from_f64(1.0 / (steps - 1) as f64);
    let variance = tape.scale(variance, share)?;
    let log_variance = tape.scale(log_variance, share)?;
    let whole = tape.add(spread, variance)?;
    let whole = tape.ln(whole)?;
    let rate = tape.sub(whole, log_variance)?;
    let rate = tape.scale(rate, T::from_f64(0.5))?;
    Ok(SequenceMeasures { rate, persistence })
}

/// Records the persistence of each unit from step to step, `[units]` in (-1, 1): `rho` of the
/// module documentation. `latents` are the latents `[samples, batch, units]` of successive steps.
///
/// # Errors
/// Fails for fewer than three steps.
pub fn step_persistence<T: Element>(tape: &mut Tape<T>, latents: &[Var]) -> Result<Var, Error> {
    let steps = latents.len();
    if steps < 3 {
        return Err(Error::invalid("step_persistence", format!("{steps} latents, 3 at least")));
    }
    let samples = tape.shape(latents[0]).dims()[0];
    let all = tape.concat(latents, 0)?;
    let mean = mean_of(tape, all)?;
    let centred = tape.sub(all, mean)?;
    let pairs = (steps - 1) * samples;
    let now = tape.slice_axis(centred, 0, samples, pairs)?;
    let before = tape.slice_axis(centred, 0, 0, pairs)?;
    // 2 E ab / (E a^2 + E b^2) is within (-1, 1) for any numbers.
    let product = tape.mul(now, before)?;
    let product = mean_of(tape, product)?;
    let product = tape.scale(product, T::from_f64(2.0))?;
    let [a, b] = [tape.square(now)?, tape.square(before)?];
    let sum = tape.add(a, b)?;
    let sum = mean_of(tape, sum)?;
    tape.div(product, sum)
}

/// Records the mean of a message, or 0 where the message is missing and its mean is arbitrary.
pub(super) fn mean_where_seen<T: Element>(
    tape: &mut Tape<T>,
    message: &Message,
) -> Result<Var, Error> {
    if tape.value(message.mean).data().iter().all(|mean| mean.is_finite()) {
        return Ok(message.mean);
    }
    // Joins the message with an empty one.
    let [zero, missing] = [T::ZERO, T::from_f64(f64::INFINITY)].map(|x| tape.constant([], &[x]));
    let (zero, missing) = (zero?, missing?);
    let [mean, _] =
        tape.combine_messages([message.mean, message.logvar], [zero, missing], zero, zero)?;
    Ok(mean)
}

/// Records the mean over samples and batch, `[units]`.
fn mean_of<T: Element>(tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
    let mean = tape.mean_axis(x, 0)?;
    tape.mean_axis(mean, 0)
}
