//! The mean negative log-density of a Laplace distribution.

use super::log_prob::LogProb;
use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use std::f64::consts::LN_2;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, View, ViewMut};

const NAME: &str = "laplace_nll";
const LOG_PROB: &str = "laplace_log_prob";

struct LaplaceNll;

/// `ln(2 b) + |y - mu| / b`.
struct Nll;
impl Formula<3, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, y]: [R; 3]) -> [R; 1] {
        [scale.ln() + scale.lit(LN_2) + (y - location).abs() / scale]
    }
}

/// `slope` times the derivative with respect to the location, `-sign(y - mu) / b`; 0 at the kink.
struct LocationPull {
    slope: f64,
}
impl Formula<3, 1> for LocationPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, y]: [R; 3]) -> [R; 1] {
        let (slope, zero) = (scale.lit(self.slope) / scale, y.lit(0.0));
        let pull = R::select(y.lt(location), slope, zero);
        let pull = R::select(location.lt(y), -slope, pull);
        // NaN satisfies neither comparison and gives NaN, so it is not silent.
        [R::select(location.le(y) | y.le(location), pull, location + y)]
    }
}

/// `slope` times the derivative with respect to the scale, `(1 - |y - mu| / b) / b`.
struct ScalePull {
    slope: f64,
}
impl Formula<3, 1> for ScalePull {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, y]: [R; 3]) -> [R; 1] {
        let distance = (y - location).abs() / scale;
        [(scale.lit(1.0) - distance) / scale * scale.lit(self.slope)]
    }
}

compiled_once!(MeanScore<LaplaceNll, 3>);
compiled_once!(LogProb<LaplaceNll, 3>);
impl Likelihood<3> for LaplaceNll {
    const NAME: &'static str = NAME;
    const LOG_PROB: &'static str = LOG_PROB;

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 3], scores: &mut [T]) {
        evaluate(NAME, &Nll, shape, inputs, scores);
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 3],
        slope: f64,
        [d_location, d_scale, d_y]: &mut [Option<ViewMut<'_, T>>; 3],
    ) {
        for (d_input, slope) in [(d_location, slope), (d_y, -slope)] {
            if let Some(d) = d_input {
                pull(NAME, &LocationPull { slope }, shape, inputs, d);
            }
        }
        if let Some(d) = d_scale {
            pull(NAME, &ScalePull { slope }, shape, inputs, d);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln p(y)` in nats under the Laplace distribution, whose
    /// density is `p(y) = e^(-|y - location| / scale) / (2 scale)` with `scale > 0`. Its variance
    /// is `2 scale^2`.
    ///
    /// The shapes broadcast to the shape of the locations or of `y`: for instance
    /// `[batch, outputs]`, `[outputs]` and `[batch, outputs]`.
    ///
    /// The gradient with respect to a location that equals `y` is 0.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let location = tape.variable([2], &[0.0, 1.0])?;
    /// let scale = tape.constant([], &[0.5])?;
    /// let y = tape.constant([2], &[1.0, 1.0])?;
    /// let nll = tape.laplace_nll(location, scale, y)?;
    /// // ln(2 scale) is 0; the distances are 2 scales and none.
    /// assert!((tape.scalar(nll)? - 1.0).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, have no elements, or broadcast to a shape that neither
    /// locations nor `y` have; if a scale is not above 0; or if a variable is stale.
    pub fn laplace_nll(&mut self, location: Var, scale: Var, y: Var) -> Result<Var, Error> {
        self.check(NAME, &[location, scale, y])?;
        self.check_above_zero(NAME, "scale", scale)?;
        self.record_single(MeanScore(LaplaceNll), &[location, scale, y])
    }

    /// The log-density `ln p(y)` of every element in nats, in the shape to which the inputs
    /// broadcast. [`Tape::laplace_nll`] is its negative mean. [`Tape::mixture_of`] scores mixtures
    /// over samples of it.
    ///
    /// # Errors
    /// Fails as [`Tape::laplace_nll`] does.
    pub fn laplace_log_prob(&mut self, location: Var, scale: Var, y: Var) -> Result<Var, Error> {
        self.check(LOG_PROB, &[location, scale, y])?;
        self.check_above_zero(LOG_PROB, "scale", scale)?;
        self.record_single(LogProb(LaplaceNll), &[location, scale, y])
    }
}
