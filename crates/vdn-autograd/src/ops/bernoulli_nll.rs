//! The mean negative log-probability of outcomes under a Bernoulli distribution, which is given by
//! its logit.

use super::log_prob::LogProb;
use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, View, ViewMut};

const NAME: &str = "bernoulli_nll";
const LOG_PROB: &str = "bernoulli_log_prob";

struct BernoulliNll;

/// `y softplus(-logit) + (1 - y) softplus(logit)`, which subtracts no large numbers.
struct Nll;
impl Formula<2, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, y]: [R; 2]) -> [R; 1] {
        [y * (-logit).softplus() + (y.lit(1.0) - y) * logit.softplus()]
    }
}

/// `slope` times the derivative with respect to the logit,
/// `(1 - y) sigmoid(logit) - y sigmoid(-logit)`.
struct LogitPull {
    slope: f64,
}
impl Formula<2, 1> for LogitPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, y]: [R; 2]) -> [R; 1] {
        let slope = (y.lit(1.0) - y) * logit.sigmoid() - y * (-logit).sigmoid();
        [slope * y.lit(self.slope)]
    }
}

/// `slope` times the derivative with respect to `y`, which is `-logit`.
struct OutcomePull {
    slope: f64,
}
impl Formula<2, 1> for OutcomePull {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, _]: [R; 2]) -> [R; 1] {
        [-logit * logit.lit(self.slope)]
    }
}

compiled_once!(MeanScore<BernoulliNll, 2>);
compiled_once!(LogProb<BernoulliNll, 2>);
impl Likelihood<2> for BernoulliNll {
    const NAME: &'static str = NAME;
    const LOG_PROB: &'static str = LOG_PROB;

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 2], scores: &mut [T]) {
        evaluate(NAME, &Nll, shape, inputs, scores);
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 2],
        slope: f64,
        [d_logit, d_y]: &mut [Option<ViewMut<'_, T>>; 2],
    ) {
        if let Some(d_logit) = d_logit {
            pull(NAME, &LogitPull { slope }, shape, inputs, d_logit);
        }
        if let Some(d_y) = d_y {
            pull(NAME, &OutcomePull { slope }, shape, inputs, d_y);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln p(y)` in nats, where `p(1) = sigmoid(logit)`. `y` is 0, 1
    /// or a probability in between. The shapes broadcast to the shape of the logits or of `y`.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// // Even odds, and odds of 3 to 1: the probabilities 1/2 and 3/4 of what was seen.
    /// let logit = tape.variable([2], &[0.0, 3_f64.ln()])?;
    /// let y = tape.constant([2], &[1.0, 1.0])?;
    /// let nll = tape.bernoulli_nll(logit, y)?;
    /// assert!((tape.scalar(nll)? - 0.5 * (2_f64.ln() + (4.0_f64 / 3.0).ln())).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, or have no elements, if an outcome is not in [0, 1], or if a
    /// variable is stale.
    pub fn bernoulli_nll(&mut self, logit: Var, y: Var) -> Result<Var, Error> {
        self.check(NAME, &[logit, y])?;
        self.check_outcomes(NAME, y)?;
        self.record_single(MeanScore(BernoulliNll), &[logit, y])
    }

    /// The log-probability `ln p(y)` of every element in nats, in the shape to which the inputs
    /// broadcast. [`Tape::bernoulli_nll`] is its negative mean. [`Tape::mixture_of`] scores
    /// mixtures over samples of it.
    ///
    /// # Errors
    /// Fails as [`Tape::bernoulli_nll`] does.
    pub fn bernoulli_log_prob(&mut self, logit: Var, y: Var) -> Result<Var, Error> {
        self.check(LOG_PROB, &[logit, y])?;
        self.check_outcomes(LOG_PROB, y)?;
        self.record_single(LogProb(BernoulliNll), &[logit, y])
    }

    fn check_outcomes(&self, name: &'static str, y: Var) -> Result<(), Error> {
        self.check_values(name, y, |y| {
            (!(0.0..=1.0).contains(&y)).then(|| "is not an outcome in [0, 1]".to_owned())
        })
    }
}
