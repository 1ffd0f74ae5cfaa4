//! [`Diagnosis`]: computes the [`SequenceDiagnostics`] of units from the messages of a sequence.
//!
//! For each unit it accumulates, over all elements and steps with a complete past, the moments of
//! the last steps from a [`Chain`]: means, products of their deviations, and posterior covariances.
//! By the law of total covariance, the covariance of the samples is the covariance of the means
//! plus the mean of the posterior covariances. All measures follow from this small matrix and the
//! prior's coefficients; for example, the variance that the past does not explain is found by
//! elimination.

use crate::core::parameter::Parameters;
use crate::diagnostics::SequenceDiagnostics;
use crate::priors::Prior;
use crate::sequence::chain::{Chain, ChainMoments};
use crate::sequence::unrolled::Message;
use crate::sequence::{Posterior, rollout::Numbers};
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// A pivot of a covariance below this share of its variance counts as a rounding error.
const SINGULAR: f64 = 1e-12;

/// The sums of one unit over elements and steps.
#[derive(Clone)]
struct Sums {
    rows: f64,
    /// Means of the posterior means of the last steps, `[depth]`.
    mean: Vec<f64>,
    /// Sums of the products of their deviations, `[depth, depth]`.
    products: Vec<f64>,
    /// Sums of the posteriors' covariances, `[depth, depth]`.
    covariances: Vec<f64>,
    /// Sums of the logarithms of the posterior variances, given the past and without it.
    log_own: f64,
    log_whole: f64,
}

/// Accumulates the moments of all steps that have a complete past.
pub struct Diagnosis {
    chain: Chain,
    depth: usize,
    steps: usize,
    units: Vec<Sums>,
}

impl Diagnosis {
    /// Creates the accumulator for this many elements and units.
    ///
    /// # Errors
    /// Fails if the prior has another number of units.
    pub fn new<T: Element>(
        parameters: &Parameters<T>,
        (prior, posterior): (Prior, Posterior),
        [size, units]: [usize; 2],
    ) -> Result<Self, Error> {
        let depth = prior.order().max(1) + 1;
        let chain = Chain::new(parameters, (prior, posterior), [size, units], depth)?;
        let square = vec![0.0; depth * depth];
        let sums = Sums {
            rows: 0.0,
            mean: vec![0.0; depth],
            products: square.clone(),
            covariances: square,
            log_own: 0.0,
            log_whole: 0.0,
        };
        Ok(Self { chain, depth, steps: 0, units: vec![sums; units] })
    }

    /// Advances by one step with the step's messages, `[size]` each.
    pub fn push(&mut self, message: &[f64], variance: &[f64]) {
        self.chain.push(message, variance);
        self.steps += 1;
        let depth = self.depth;
        if self.steps < depth {
            return;
        }
        for (unit, ChainMoments { means, covariances, own }) in self.chain.elements() {
            let sums = &mut self.units[unit];
            sums.rows += 1.0;
            let before: Vec<f64> = means.iter().zip(&sums.mean).map(|(x, m)| x - m).collect();
            for (m, delta) in sums.mean.iter_mut().zip(&before) {
                *m += delta / sums.rows;
            }
            for j in 0..depth {
                for k in 0..depth {
                    sums.products[j * depth + k] += before[j] * (means[k] - sums.mean[k]);
                }
            }
            sums.covariances.iter_mut().zip(covariances).for_each(|(sum, p)| *sum += p);
            sums.log_own += own.ln();
            sums.log_whole += covariances[0].ln();
        }
    }

    /// Returns the measures; NaN if no step has a complete past.
    pub fn finish(&self) -> SequenceDiagnostics {
        let order = self.chain.prior.len() - 1;
        let (stationary, transition) = (&self.chain.prior[0], &self.chain.prior[order]);
        let mut found = SequenceDiagnostics {
            rows: self.units.first().map_or(0, |sums| sums.rows as usize),
            coefficients: transition.coefficients.clone(),
            ..SequenceDiagnostics::default()
        };
        for (unit, sums) in self.units.iter().enumerate() {
            sums.measure(unit, self.depth, [stationary, transition], &mut found);
        }
        found
    }
}

impl Sums {
    fn measure(
        &self,
        unit: usize,
        depth: usize,
        [stationary, transition]: [&Numbers<f64>; 2],
        to: &mut SequenceDiagnostics,
    ) {
        let n = self.rows;
        let order = transition.coefficients.len();
        // The covariance of the samples at a step and before it: the covariance of the means plus
        // the mean of the posteriors' covariances.
        let whole: Vec<f64> =
            self.products.iter().zip(&self.covariances).map(|(a, b)| (a + b) / n).collect();
        let at = |j: usize, k: usize| whole[j * depth + k];
        let (spread, variance) = (self.products[0] / n, self.covariances[0] / n);
        let left = residual(&whole, depth, order);
        // The innovation z_t - sum_k phi_k z_{t-k} - offset: its mean and its variance.
        let phi = |j: usize| match j {
            0 => 1.0,
            _ => transition.coefficients.get(j - 1).map_or(0.0, |row| -row[unit]),
        };
        let mean = (0..depth).map(|j| phi(j) * self.mean[j]).sum::<f64>() - transition.mean[unit];
        let surprise = (0..depth)
            .flat_map(|j| (0..depth).map(move |k| (j, k)))
            .map(|(j, k)| phi(j) * phi(k) * at(j, k))
            .sum::<f64>();
        let s2 = transition.deviation[unit].powi(2);
        let (log_own, log_whole) = (self.log_own / n, self.log_whole / n);
        let squares = (surprise + mean * mean) / s2;
        let rate_given_past = 0.5 * (left.ln() - log_own);
        let mismatch_given_past = 0.5 * (squares - 1.0 - (left / s2).ln());
        let u2 = stationary.deviation[unit].powi(2);
        let offset = self.mean[0] - stationary.mean[unit];
        let ratio = (spread + variance) / u2;
        to.persistence.push(at(0, 1) / (0.5 * (at(0, 0) + at(1, 1))));
        to.kl.push(0.5 * (squares - 1.0 - log_own + s2.ln()));
        to.rate_given_past.push(rate_given_past);
        to.mismatch_given_past.push(mismatch_given_past);
        to.rate.push(0.5 * ((spread + variance).ln() - log_whole));
        to.mismatch.push(0.5 * (ratio + offset * offset / u2 - 1.0 - ratio.ln()));
        to.energy.push((spread + offset * offset) / u2);
        to.sigma.push((variance / u2).sqrt());
        to.signal_to_noise.push(spread / variance);
        to.noise_share.push(variance / (spread + variance));
    }
}

/// Returns the part of the variance of the first of `depth` variables that no linear function of
/// the next `order` variables explains. Symmetric elimination, with the first variable last.
fn residual(covariance: &[f64], depth: usize, order: usize) -> f64 {
    let mut c = covariance.to_vec();
    for pivot in (1..=order).rev() {
        let p = c[pivot * depth + pivot];
        if !(p > SINGULAR * covariance[pivot * depth + pivot]) {
            // The variable is a function of those before it, or constant.
            continue;
        }
        for j in 0..pivot {
            let share = c[j * depth + pivot] / p;
            for k in 0..pivot {
                c[j * depth + k] -= share * c[pivot * depth + k];
            }
        }
    }
    c[0]
}

/// Returns the measures of every unit of a posterior along a sequence, computed from its
/// `messages`.
///
/// The messages are those that [`unroll`](super::unroll) takes: for mean field the posteriors, and
/// for the penalty the posteriors of mean field, from which it draws. The messages of
/// [`smooth`](super::smooth) are local ones, so the measures are those of the filter. `parameters`
/// contains the prior's parameters.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::diagnostics::{CollapseMode, CollapseThresholds};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Message, Posterior, sequence_diagnostics};
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f64>::new();
/// let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 1, OrderOneConfig::default())?; // phi = 0.5
/// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// let key = NoiseKey::new(1, 0, 0);
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, key);
/// // Two sequences of which nothing is seen: the unit is its prior.
/// let mean = graph.tape.constant([2, 1], &[0.0, 0.0])?;
/// let logvar = graph.tape.constant([], &[f64::INFINITY])?;
/// let messages = vec![Message { mean, logvar, gap: 1 }; 10];
/// let found = sequence_diagnostics(&tape, &parameters, (Prior::OrderOne(prior), Posterior::Structured), &messages)?;
/// assert!((found.persistence[0] - 0.5).abs() < 1e-12 && found.kl[0].abs() < 1e-12);
/// let modes = found.modes(&CollapseThresholds::default());
/// assert_eq!(modes, [[CollapseMode::PosteriorCollapse]]);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails if:
///
/// * there are fewer than two messages, or not more messages than the prior's order;
/// * messages differ in shape or have gaps;
/// * a step is missing although the posterior is not structured;
/// * the prior has another number of units.
pub fn sequence_diagnostics<T: Element>(
    tape: &Tape<T>,
    parameters: &Parameters<T>,
    (prior, posterior): (Prior, Posterior),
    messages: &[Message],
) -> Result<SequenceDiagnostics, Error> {
    let refuse = |reason: String| Err(Error::invalid("sequence_diagnostics", reason));
    let wanted = prior.order().max(1) + 1;
    if messages.len() < wanted || messages[1..].iter().any(|message| message.gap != 1) {
        let count = messages.len();
        return refuse(format!(
            "{count} messages: {wanted} at least are wanted, each one step after the last"
        ));
    }
    let shape = *tape.shape(messages[0].mean);
    let &[batch, units] = shape.dims() else {
        return refuse(format!("messages of {shape}, not [batch, units]"));
    };
    let mut diagnosis = Diagnosis::new(parameters, (prior, posterior), [batch * units, units])?;
    for (t, message) in messages.iter().enumerate() {
        let mean = expanded(tape, message.mean, [batch, units]);
        let logvar = expanded(tape, message.logvar, [batch, units]);
        let (Some(mean), Some(logvar)) = (mean, logvar) else {
            let [a, b] = [message.mean, message.logvar].map(|var| *tape.shape(var));
            return refuse(format!("step {t}: a message of {a} and {b}, not {shape}"));
        };
        let variance: Vec<f64> = logvar.iter().map(|logvar| logvar.exp()).collect();
        if posterior != Posterior::Structured && variance.contains(&f64::INFINITY) {
            return refuse(format!("step {t}: missing steps need the structured posterior"));
        }
        diagnosis.push(&mean, &variance);
    }
    Ok(diagnosis.finish())
}

/// Returns a value, broadcast to `[batch, units]`.
fn expanded<T: Element>(tape: &Tape<T>, var: Var, [batch, units]: [usize; 2]) -> Option<Vec<f64>> {
    let shape = tape.shape(var);
    let (rows, columns) = match *shape.dims() {
        [] => (1, 1),
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return None,
    };
    if ![1, batch].contains(&rows) || ![1, units].contains(&columns) {
        return None;
    }
    let data = tape.value(var).data();
    let at = |i: usize, n: usize| if n == 1 { 0 } else { i };
    let of = |i: usize| data[at(i / units, rows) * columns + at(i % units, columns)].to_f64();
    Some((0..batch * units).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::residual;

    #[test]
    fn what_is_left_is_the_innovation_of_a_process() {
        // An AR(2) of variance 1 with partial autocorrelations 0.8 and -0.5: its autocorrelations
        // are 0.8 and 0.8^2 - 0.5 (1 - 0.8^2).
        let (r1, r2) = (0.8, 0.64 - 0.5 * 0.36);
        let c = [1.0, r1, r2, r1, 1.0, r1, r2, r1, 1.0];
        assert!((residual(&c, 3, 2) - 0.36 * 0.75).abs() < 1e-14);
        assert!((residual(&c, 3, 1) - 0.36).abs() < 1e-14);
        assert_eq!(residual(&c, 3, 0), 1.0);
        // A past that is constant explains nothing.
        assert_eq!(residual(&[2.0, 0.0, 0.0, 0.0], 2, 1), 2.0);
    }
}
