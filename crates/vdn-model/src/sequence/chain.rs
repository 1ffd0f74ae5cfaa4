//! [`Chain`]: the exact moments of a posterior along a sequence, given its messages. Nothing is
//! sampled.
//!
//! Given its messages, the structured posterior is a linear Gaussian chain
//! `z_t = sum_j a_j z_{t-j} + b + Normal(0, v)` with `a_j = (1 - g) phi_j`, `v = s^2 (1 - g)` and
//! `g = s^2/(s^2 + r)`. For a mean-field posterior `a_j = 0`, `b = m` and `v = r`. The chain
//! carries means and covariances from step to step by this recursion.

use crate::core::parameter::Parameters;
use crate::priors::Prior;
use crate::sequence::Posterior;
use crate::sequence::rollout::{Numbers, numbers};
use vdn_autograd::Error;
use vdn_tensor::Element;

/// The means and covariances of the last steps of every element, the last step first. An element is
/// a unit of a sequence; the index of the unit varies fastest.
pub struct Chain {
    structured: bool,
    /// The prior of a step, indexed by the number of known earlier values.
    pub prior: Vec<Numbers<f64>>,
    units: usize,
    depth: usize,
    steps: usize,
    elements: Vec<ChainMoments>,
}

/// The moments of one element.
#[derive(Clone)]
pub struct ChainMoments {
    /// The means of the last steps, `[depth]`.
    pub means: Vec<f64>,
    /// Their covariances, `[depth, depth]`.
    pub covariances: Vec<f64>,
    /// The variance of the last step given the one before, `v`.
    pub own: f64,
}

impl Chain {
    /// Creates the chain of `size` elements. The last `depth` steps are kept; `depth` has to be
    /// larger than the prior's order.
    ///
    /// # Errors
    /// Fails if the prior has another number of units.
    pub fn new<T: Element>(
        parameters: &Parameters<T>,
        (prior, posterior): (Prior, Posterior),
        [size, units]: [usize; 2],
        depth: usize,
    ) -> Result<Self, Error> {
        let double = parameters.cast::<f64>();
        let known = (0..=prior.order()).map(|known| numbers(&double, prior, known, units));
        let zero = ChainMoments {
            means: vec![0.0; depth],
            covariances: vec![0.0; depth * depth],
            own: 0.0,
        };
        Ok(Self {
            structured: posterior == Posterior::Structured,
            prior: known.collect::<Result<_, _>>()?,
            units,
            depth,
            steps: 0,
            elements: vec![zero; size],
        })
    }

    /// Advances by one step with the step's messages, `[size]` each; for mean field they are the
    /// posteriors. A message of infinite variance carries no information, whatever its mean is.
    pub fn push(&mut self, message: &[f64], variance: &[f64]) {
        let depth = self.depth;
        let order = self.prior.len() - 1;
        let Numbers { mean: offset, coefficients, deviation } = &self.prior[self.steps.min(order)];
        for (place, element) in self.elements.iter_mut().enumerate() {
            let ChainMoments { means, covariances: p, own } = element;
            let i = place % self.units;
            let (m, r) = (message[place], variance[place]);
            let s2 = deviation[i] * deviation[i];
            let gain = s2 / (s2 + r);
            // z_t = sum_j a_j z_{t-j} + b + noise of variance v.
            let (keep, b, v) = match self.structured {
                false => (0.0, m, r),
                true if gain == 0.0 => (1.0, offset[i], s2),
                true => (1.0 - gain, (1.0 - gain) * offset[i] + gain * m, gain * r),
            };
            let a = |j: usize| coefficients.get(j).map_or(0.0, |row| keep * row[i]);
            let mean = b + (0..depth).map(|j| a(j) * means[j]).sum::<f64>();
            let row: Vec<f64> =
                (0..depth).map(|k| (0..depth).map(|j| a(j) * p[j * depth + k]).sum()).collect();
            let whole = v + (0..depth).map(|j| a(j) * row[j]).sum::<f64>();
            for j in (1..depth).rev() {
                for k in (1..depth).rev() {
                    p[j * depth + k] = p[(j - 1) * depth + k - 1];
                }
            }
            for k in 1..depth {
                p[k] = row[k - 1];
                p[k * depth] = row[k - 1];
            }
            p[0] = whole;
            means.rotate_right(1);
            means[0] = mean;
            *own = v;
        }
        self.steps += 1;
    }

    /// Iterates over the elements, each with the index of its unit.
    pub fn elements(&self) -> impl Iterator<Item = (usize, &ChainMoments)> {
        self.elements.iter().enumerate().map(|(place, element)| (place % self.units, element))
    }
}
