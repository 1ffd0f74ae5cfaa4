//! The mean negative log-probability of counts under a Poisson distribution, which is given by the
//! logarithm of its rate.
//!
//! The textbook form `rate - y ln rate + ln y!` loses all digits for large counts: its terms are of
//! size `y ln y`, its result is about `ln(y) / 2`. With `d = ln rate - ln y`, the score is computed
//! as `y (e^d - 1 - d)` plus the score at the best rate, `y - y ln y + ln y!`.

use super::log_prob::LogProb;
use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::gaussian::exp_m1_minus;
use vdn_tensor::kernels::Formula;
use vdn_tensor::math::gamma::least_poisson_nll;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, Real, Shape, View, ViewMut, with_scratch};

const NAME: &str = "poisson_nll";
const LOG_PROB: &str = "poisson_log_prob";

/// The number of counts in a task.
const TASK: usize = 1024;

struct PoissonNll;

/// The score, from `log_rate`, `y` and the given score at the best rate, which is `y` itself.
struct Nll;
impl Formula<3, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [log_rate, y, least]: [R; 3]) -> [R; 1] {
        let none = y.lt(y.lit(0.5));
        let excess = y * exp_m1_minus(log_rate - y.ln());
        [R::select(none, log_rate.exp(), excess + least)]
    }
}

/// `slope` times the derivative with respect to the log-rate.
struct Pull {
    slope: f64,
}
impl Formula<2, 1> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [log_rate, y]: [R; 2]) -> [R; 1] {
        [(log_rate.exp() - y) * y.lit(self.slope)]
    }
}

compiled_once!(MeanScore<PoissonNll, 2>);
compiled_once!(LogProb<PoissonNll, 2>);
impl Likelihood<2> for PoissonNll {
    const NAME: &'static str = NAME;
    const LOG_PROB: &'static str = LOG_PROB;

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 2], scores: &mut [T]) {
        let [log_rate, y] = inputs;
        with_scratch(y.data().len(), |least: &mut [T]| {
            for_each_chunk(least, TASK, |task, to| {
                for (to, y) in to.iter_mut().zip(&y.data()[task * TASK..]) {
                    *to = T::from_f64(least_poisson_nll(y.to_f64()));
                }
            });
            let given = View::new(*y.shape(), least).expect("sized for this shape");
            evaluate(NAME, &Nll, shape, [log_rate, y, given], scores);
        });
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 2],
        slope: f64,
        [d_rate, _]: &mut [Option<ViewMut<'_, T>>; 2],
    ) {
        if let Some(d_rate) = d_rate {
            pull(NAME, &Pull { slope }, shape, inputs, d_rate);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln Poisson(y; e^log_rate)` in nats, including `ln y!`. `y`
    /// contains counts: whole numbers from 0 on, which have no gradient. The shapes broadcast to
    /// the shape of the log-rates or of `y`.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let log_rate = tape.variable([1], &[2_f64.ln()])?;
    /// let count = tape.indices([1], &[3])?;
    /// let nll = tape.poisson_nll(log_rate, count)?;
    /// // e^-2 2^3 / 3!
    /// assert!((tape.scalar(nll)? + ((-2_f64).exp() * 8.0 / 6.0).ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit or have no elements; if a count is not a whole number from 0
    /// on, or requires a gradient; or if a variable is stale.
    pub fn poisson_nll(&mut self, log_rate: Var, y: Var) -> Result<Var, Error> {
        self.check(NAME, &[log_rate, y])?;
        self.check_counts(NAME, y)?;
        self.record_single(MeanScore(PoissonNll), &[log_rate, y])
    }

    /// The log-probability `ln p(y)` of every element in nats, in the shape to which the inputs
    /// broadcast. [`Tape::poisson_nll`] is its negative mean. [`Tape::mixture_of`] scores mixtures
    /// over samples of it.
    ///
    /// # Errors
    /// Fails as [`Tape::poisson_nll`] does.
    pub fn poisson_log_prob(&mut self, log_rate: Var, y: Var) -> Result<Var, Error> {
        self.check(LOG_PROB, &[log_rate, y])?;
        self.check_counts(LOG_PROB, y)?;
        self.record_single(LogProb(PoissonNll), &[log_rate, y])
    }
}
