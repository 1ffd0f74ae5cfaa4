//! [`PriorSteps`]: a prior along a sequence.

use super::Prior;
use crate::graph::Graph;
use vdn_autograd::{ConditionalPrior, Error, Gap, Var};
use vdn_tensor::Element;

/// A prior along the steps of one sequence on one tape: what depends on the parameters alone is recorded once.
#[derive(Debug)]
pub struct PriorSteps {
    prior: Prior,
    zero: Var,
    one: Var,
    /// Transitions of order 1, by gap.
    transitions: Vec<(Gap, [Var; 2])>,
    /// Predictions of higher order, by the number of known values.
    predictions: Vec<(usize, (Vec<Var>, Var))>,
}

impl PriorSteps {
    /// Starts a sequence.
    ///
    /// # Errors
    /// The tape is full.
    pub fn new<T: Element>(graph: &mut Graph<'_, T>, prior: Prior) -> Result<Self, Error> {
        let zero = graph.tape.constant([], &[T::ZERO])?;
        let one = graph.tape.constant([], &[T::ONE])?;
        Ok(Self { prior, zero, one, transitions: Vec::new(), predictions: Vec::new() })
    }

    /// Coefficient and log-variance of an order-one prior over `gap`; `None` for others.
    pub(crate) fn transition<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        gap: Gap,
    ) -> Result<Option<[Var; 2]>, Error> {
        let Prior::OrderOne(prior) = self.prior else { return Ok(None) };
        if let Some((_, found)) = self.transitions.iter().find(|(known, _)| *known == gap) {
            return Ok(Some(*found));
        }
        let fresh = prior.transition(graph, gap)?;
        self.transitions.push((gap, fresh));
        Ok(Some(fresh))
    }

    fn prediction<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        known: usize,
    ) -> Result<Option<(Vec<Var>, Var)>, Error> {
        let Prior::Autoregressive(prior) = self.prior else { return Ok(None) };
        if let Some((_, found)) = self.predictions.iter().find(|(k, _)| *k == known) {
            return Ok(Some(found.clone()));
        }
        let fresh = prior.prediction(graph, known)?;
        self.predictions.push((known, fresh.clone()));
        Ok(Some(fresh))
    }

    /// The prior of the next step, `gap` steps after the last. `history` are the latents before it, the last one first
    /// (those beyond the order play no part; none at the first step).
    ///
    /// # Errors
    /// A gap of other than 1 step with a prior of an order above 1; a gap of 0.
    pub fn next<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        history: &[Var],
        gap: u32,
    ) -> Result<ConditionalPrior, Error> {
        let (zero, one) = (self.zero, self.one);
        match self.prior {
            Prior::StandardNormal => {
                Ok(ConditionalPrior { previous: zero, phi: zero, logvar: zero })
            }
            Prior::LearnedNormal(prior) => {
                let [previous, logvar] = prior.moments(graph)?;
                Ok(ConditionalPrior { previous, phi: one, logvar })
            }
            Prior::OrderOne(_) => {
                let gap = if history.is_empty() { Gap::Initial } else { Gap::Steps(gap) };
                let Some([phi, logvar]) = self.transition(graph, gap)? else {
                    unreachable!("the prior has order one")
                };
                Ok(ConditionalPrior { previous: *history.first().unwrap_or(&zero), phi, logvar })
            }
            Prior::Autoregressive(prior) => {
                if gap != 1 && !history.is_empty() {
                    let reason = format!("a gap of {gap} steps: give missing steps instead");
                    return Err(Error::invalid("autoregressive prior", reason));
                }
                let known = history.len().min(prior.order());
                let Some((coefficients, logvar)) = self.prediction(graph, known)? else {
                    unreachable!("the prior is autoregressive")
                };
                let previous = combination(graph, &coefficients, history, zero)?;
                Ok(ConditionalPrior { previous, phi: one, logvar })
            }
        }
    }

    /// [`PriorSteps::next`] for posteriors without a sample of the past: `history` are pairs of mean and log-variance. The
    /// second result is the log-variance that belongs to `previous`, if there is a past.
    ///
    /// # Errors
    /// Those of [`PriorSteps::next`].
    pub fn next_of_moments<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        history: &[[Var; 2]],
        gap: u32,
    ) -> Result<(ConditionalPrior, Option<Var>), Error> {
        let means: Vec<Var> = history.iter().map(|[mean, _]| *mean).collect();
        let prior = self.next(graph, &means, gap)?;
        let Some([_, last]) = history.first() else { return Ok((prior, None)) };
        match self.prior {
            Prior::StandardNormal | Prior::LearnedNormal(_) => Ok((prior, None)),
            Prior::OrderOne(_) => Ok((prior, Some(*last))),
            Prior::Autoregressive(own) => {
                let known = history.len().min(own.order());
                let Some((coefficients, _)) = self.prediction(graph, known)? else {
                    unreachable!("the prior is autoregressive")
                };
                let mut squares = Vec::new();
                let mut variances = Vec::new();
                for (&phi, [_, logvar]) in coefficients.iter().zip(history) {
                    squares.push(graph.tape.square(phi)?);
                    variances.push(graph.tape.exp(*logvar)?);
                }
                let sum = combination(graph, &squares, &variances, self.zero)?;
                Ok((prior, Some(graph.tape.ln(sum)?)))
            }
        }
    }
}

/// `sum_k coefficients[k] values[k]`.
fn combination<T: Element>(
    graph: &mut Graph<'_, T>,
    coefficients: &[Var],
    values: &[Var],
    zero: Var,
) -> Result<Var, Error> {
    let mut sum = None;
    for (&coefficient, &value) in coefficients.iter().zip(values) {
        let term = graph.tape.mul(coefficient, value)?;
        sum = Some(match sum {
            Some(sum) => graph.tape.add(sum, term)?,
            None => term,
        });
    }
    Ok(sum.unwrap_or(zero))
}
