//! [`PriorSteps`]: a prior along the steps of a sequence.
//!
//! The prior of a step depends on how many earlier values are known and on the gap to the last one,
//! but not on the step itself. Its coefficients and variances are therefore recorded once for each
//! such case and reused. The first steps, with fewer known values than the order, use their exact
//! distribution.

use crate::core::graph::Graph;
use crate::priors::Prior;
use vdn_autograd::{ConditionalPrior, Error, Gap, Var};
use vdn_tensor::Element;

/// A prior along the steps of one sequence on one tape. Values that depend on parameters alone are
/// recorded once.
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
    /// Fails if the tape is full.
    pub fn new<T: Element>(graph: &mut Graph<'_, T>, prior: Prior) -> Result<Self, Error> {
        let zero = graph.tape.constant([], &[T::ZERO])?;
        let one = graph.tape.constant([], &[T::ONE])?;
        Ok(Self { prior, zero, one, transitions: Vec::new(), predictions: Vec::new() })
    }

    /// Records all values that depend on parameters alone and that the first step and steps with
    /// these gaps use. Returns them in a fixed order, which [`PriorSteps::from_shared`] expects on
    /// another tape. All gaps have to be different.
    ///
    /// # Errors
    /// Fails for a gap of 0, or if the tape is full.
    pub fn shared<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        gaps: &[u32],
    ) -> Result<Vec<Var>, Error> {
        let mut vars = Vec::new();
        for gap in initial_and(gaps) {
            vars.extend(self.transition(graph, gap)?.into_iter().flatten());
        }
        for known in 0..=self.prior.order() {
            if let Some((coefficients, logvar)) = self.prediction(graph, known)? {
                vars.extend(coefficients);
                vars.push(logvar);
            }
        }
        Ok(vars)
    }

    /// Starts a sequence whose steps use these variables, in the order of [`PriorSteps::shared`]
    /// for the same gaps.
    ///
    /// # Errors
    /// Fails if the number of variables does not match the prior, or if the tape is full.
    pub fn from_shared<T: Element>(
        graph: &mut Graph<'_, T>,
        prior: Prior,
        gaps: &[u32],
        shared: &[Var],
    ) -> Result<Self, Error> {
        let mut steps = Self::new(graph, prior)?;
        let order = prior.order();
        let wanted = match prior {
            Prior::StandardNormal | Prior::LearnedNormal(_) => 0,
            Prior::OrderOne(_) => 2 * (gaps.len() + 1),
            Prior::Autoregressive(_) => (order + 1) * (order + 2) / 2,
        };
        if shared.len() != wanted {
            let reason = format!("{} variables of the prior, not {wanted}", shared.len());
            return Err(Error::invalid("prior steps", reason));
        }
        match prior {
            Prior::StandardNormal | Prior::LearnedNormal(_) => {}
            Prior::OrderOne(_) => {
                for (gap, vars) in initial_and(gaps).zip(shared.chunks(2)) {
                    steps.transitions.push((gap, [vars[0], vars[1]]));
                }
            }
            Prior::Autoregressive(_) => {
                let mut rest = shared;
                for known in 0..=order {
                    let (row, others) = rest.split_at(known + 1);
                    steps.predictions.push((known, (row[..known].to_vec(), row[known])));
                    rest = others;
                }
            }
        }
        Ok(steps)
    }

    /// Returns coefficient and log-variance of an order-one prior over `gap`; `None` for other
    /// priors.
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

    /// Returns the coefficient and log-variance through which the step before sees a step's
    /// message; `None` under a prior without memory.
    ///
    /// # Errors
    /// Fails if the prior remembers more than one step or cannot cross the gap.
    pub(crate) fn seen_through<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        gap: u32,
    ) -> Result<Option<[Var; 2]>, Error> {
        match self.prior {
            Prior::StandardNormal | Prior::LearnedNormal(_) => Ok(None),
            Prior::OrderOne(_) => self.transition(graph, Gap::Steps(gap)),
            Prior::Autoregressive(prior) => {
                if prior.order() != 1 || gap != 1 {
                    let reason = format!(
                        "a prior of order {} over a gap of {gap}; smoothing is for order 1",
                        prior.order()
                    );
                    return Err(Error::invalid("smooth", reason));
                }
                let found = self.prediction(graph, 1)?;
                Ok(found.map(|(coefficients, logvar)| [coefficients[0], logvar]))
            }
        }
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

    /// Records the prior of the next step, `gap` steps after the last. `history` holds the latents
    /// before it, the last first; it is empty at the first step. Latents beyond the order are
    /// ignored.
    ///
    /// # Errors
    /// Fails for a gap of 0, and for a gap of more than 1 step with the prior
    /// [`Autoregressive`](crate::priors::Autoregressive).
    pub fn next<T: Element>(
        &mut self,
        graph: &mut Graph<'_, T>,
        history: &[Var],
        gap: u32,
    ) -> Result<ConditionalPrior, Error> {
        let (zero, one) = (self.zero, self.one);
        if gap == 0 && !history.is_empty() {
            return Err(Error::invalid("prior steps", "a gap of 0 steps"));
        }
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

    /// Does what [`PriorSteps::next`] does for posteriors without a sample of the past: `history`
    /// holds pairs of mean and log-variance. The second result is the log-variance of `previous`,
    /// if there is a past.
    ///
    /// # Errors
    /// Fails as [`PriorSteps::next`] does.
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

fn initial_and(gaps: &[u32]) -> impl Iterator<Item = Gap> {
    std::iter::once(Gap::Initial).chain(gaps.iter().copied().map(Gap::Steps))
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
