//! The mean negative log-probability of counts under a negative binomial distribution, which is
//! given by the logarithms of its mean and of its dispersion.

use super::log_prob::LogProb;
use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::evaluate_all;
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, reduce_to_shape};
use vdn_tensor::math::gamma::{ln_gamma, ln_rising, rising_slope};
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, Real, Shape, View, ViewMut, with_scratch};

const NAME: &str = "negative_binomial_nll";
const LOG_PROB: &str = "negative_binomial_log_prob";

/// The number of counts in a task; each count costs two logarithms of the gamma function.
const TASK: usize = 256;

/// The largest `r = 1 / dispersion` that is used; beyond it the distribution is Poisson to
/// rounding.
const MAX_TOTAL: f64 = 1e15;

struct NegativeBinomialNll;

/// One element, in double precision. With `t = log_mean + log_dispersion` the log-probability is
/// `ln Gamma(y + r) - ln Gamma(r) - ln y! - y softplus(-t) - r softplus(t)`.
#[derive(Clone, Copy)]
struct Count {
    total: f64,
    t: f64,
    y: f64,
}

impl Count {
    fn new([log_mean, log_dispersion, y]: [f64; 3]) -> Self {
        let least = -MAX_TOTAL.ln();
        // The `max` of the trait keeps NaN.
        let log_dispersion = Real::max(log_dispersion, least);
        Self { total: (-log_dispersion).exp(), t: log_mean + log_dispersion, y }
    }

    fn nll(self) -> f64 {
        let Self { total, t, y } = self;
        ln_gamma(y + 1.0) - ln_rising(total, y) + y * (-t).softplus() + total * t.softplus()
    }

    /// The derivative with respect to the logarithm of the mean.
    fn by_log_mean(self) -> f64 {
        self.total * self.t.sigmoid() - self.y * (-self.t).sigmoid()
    }

    /// The derivative with respect to the logarithm of the dispersion.
    fn by_log_dispersion(self) -> f64 {
        let Self { total, t, y } = self;
        let spread = total * (rising_slope(total, y) - t.softplus());
        spread + self.by_log_mean()
    }
}

/// The inputs themselves, repeated to one shape.
struct Repeated;
impl Formula<3, 3> for Repeated {
    #[inline(always)]
    fn apply<R: Real>(&self, inputs: [R; 3]) -> [R; 3] {
        inputs
    }
}

/// Computes `to = f(element)` for every element of the broadcast shape.
fn each<T: Element>(
    shape: &Shape,
    inputs: [View<'_, T>; 3],
    to: &mut [T],
    f: impl Fn(Count) -> f64 + Sync,
) {
    let len = to.len();
    with_scratch(3 * len, |repeated: &mut [T]| {
        let (first, rest) = repeated.split_at_mut(len);
        let (second, third) = rest.split_at_mut(len);
        evaluate_all(NAME, &Repeated, shape, inputs, [first, second, third]);
        for_each_chunk(to, TASK, |task, to| {
            for (i, to) in to.iter_mut().enumerate() {
                let at = task * TASK + i;
                let element = [at, len + at, 2 * len + at].map(|at| repeated[at].to_f64());
                *to = T::from_f64(f(Count::new(element)));
            }
        });
    });
}

compiled_once!(MeanScore<NegativeBinomialNll, 3>);
compiled_once!(LogProb<NegativeBinomialNll, 3>);
impl Likelihood<3> for NegativeBinomialNll {
    const NAME: &'static str = NAME;
    const LOG_PROB: &'static str = LOG_PROB;

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 3], scores: &mut [T]) {
        each(shape, inputs, scores, Count::nll);
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 3],
        slope: f64,
        d_inputs: &mut [Option<ViewMut<'_, T>>; 3],
    ) {
        let derivatives = [Count::by_log_mean, Count::by_log_dispersion];
        for (d_input, derivative) in d_inputs.iter_mut().zip(derivatives) {
            let Some(d_input) = d_input else { continue };
            with_scratch(shape.numel(), |full: &mut [T]| {
                each(shape, inputs, full, |count| slope * derivative(count));
                let to = *d_input.shape();
                reduce_to_shape(full, shape, d_input.data_mut(), &to);
            });
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln p(y)` in nats under the negative binomial distribution
    /// with `mean = e^log_mean`, `dispersion = e^log_dispersion` and variance
    /// `mean + dispersion mean^2`. It is a Poisson distribution whose rate is Gamma distributed
    /// with shape `1 / dispersion`.
    ///
    /// `y` contains counts: whole numbers from 0 on, which have no gradient. The shapes broadcast
    /// to the shape of the log-means or of `y`. A log-dispersion of shape `[]` is common to all
    /// elements.
    ///
    /// Below a log-dispersion of -34.5 the distribution is Poisson to rounding, and is computed as
    /// Poisson.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let log_mean = tape.variable([1], &[2_f64.ln()])?;
    /// let log_dispersion = tape.variable([], &[0.0])?; // 1: the geometric distribution
    /// let count = tape.indices([1], &[3])?;
    /// let nll = tape.negative_binomial_nll(log_mean, log_dispersion, count)?;
    /// // (2/3)^3 / 3
    /// assert!((tape.scalar(nll)? + (8.0_f64 / 81.0).ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, have no elements, or broadcast to a shape that neither
    /// log-means nor `y` have; if a count is not a whole number from 0 on, or requires a gradient;
    /// or if a variable is stale.
    pub fn negative_binomial_nll(
        &mut self,
        log_mean: Var,
        log_dispersion: Var,
        y: Var,
    ) -> Result<Var, Error> {
        self.check(NAME, &[log_mean, log_dispersion, y])?;
        self.check_counts(NAME, y)?;
        self.record_single(MeanScore(NegativeBinomialNll), &[log_mean, log_dispersion, y])
    }

    /// The log-probability `ln p(y)` of every element in nats, in the shape to which the inputs
    /// broadcast. [`Tape::negative_binomial_nll`] is its negative mean. [`Tape::mixture_of`] scores
    /// mixtures over samples of it.
    ///
    /// # Errors
    /// Fails as [`Tape::negative_binomial_nll`] does.
    pub fn negative_binomial_log_prob(
        &mut self,
        log_mean: Var,
        log_dispersion: Var,
        y: Var,
    ) -> Result<Var, Error> {
        self.check(LOG_PROB, &[log_mean, log_dispersion, y])?;
        self.check_counts(LOG_PROB, y)?;
        self.record_single(LogProb(NegativeBinomialNll), &[log_mean, log_dispersion, y])
    }
}
