//! The mean negative log-probability of outcomes under a Bernoulli distribution, which is given by
//! its logit.

use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, View, ViewMut};

const NAME: &str = "bernoulli_nll";

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
impl Likelihood<2> for BernoulliNll {
    const NAME: &'static str = NAME;

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
    /// # Errors
    /// Fails if the shapes do not fit, or have no elements, if an outcome is not in [0, 1], or if a
    /// variable is stale.
    pub fn bernoulli_nll(&mut self, logit: Var, y: Var) -> Result<Var, Error> {
        self.check(NAME, &[logit, y])?;
        self.check_values(NAME, y, |y| {
            (!(0.0..=1.0).contains(&y)).then(|| "is not an outcome in [0, 1]".to_owned())
        })?;
        self.record_single(MeanScore(BernoulliNll), &[logit, y])
    }
}
