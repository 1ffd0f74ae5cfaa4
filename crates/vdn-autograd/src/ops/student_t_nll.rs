//! The mean negative log-density of Student's t distribution, whose degrees of freedom may be
//! learned.
//!
//! The density needs logarithms of the gamma function of the degrees of freedom. They are computed
//! once for each number of degrees of freedom, in double precision, and enter the element-wise
//! formulas as an input. Far from the location, where the squared distance would overflow, the
//! formulas use its logarithm or its reciprocal.

use super::log_prob::LogProb;
use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::math::gamma::{student_t_log_norm, student_t_log_norm_slope};
use vdn_tensor::{Element, Mask, Real, Shape, View, ViewMut, with_scratch};

const NAME: &str = "student_t_nll";
const LOG_PROB: &str = "student_t_log_prob";

/// The number of scales from which the square of a distance may overflow.
const FAR: f64 = 1e15;

struct StudentTNll;

/// Returns `ln(1 + x^2/nu)` at `x = distance / scale`, finite for every finite distance and scale.
#[inline(always)]
fn growth<R: Real>(distance: R, scale: R, nu: R) -> R {
    let x = distance / scale;
    let plain = (x * x / nu).ln_1p();
    let near = x.abs().lt(x.lit(FAR));
    if near.all() {
        return plain;
    }
    let r = x / nu.sqrt();
    let log = distance.abs().ln() - scale.ln();
    let far = R::select(r.abs().lt(x.lit(FAR)), (r * r).ln_1p(), log + log - nu.ln());
    R::select(near, plain, far)
}

/// `ln s - c(nu) + (nu + 1)/2 ln(1 + x^2/nu)`; the constant `c` is given.
struct Nll;
impl Formula<5, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, nu, y, log_norm]: [R; 5]) -> [R; 1] {
        let weight = (nu + nu.lit(1.0)) * nu.lit(0.5);
        [scale.ln() - log_norm + weight * growth(y - location, scale, nu)]
    }
}

/// `slope` times the derivative with respect to the location, `-(nu + 1) x / (nu + x^2) / s`.
struct LocationPull {
    slope: f64,
}
impl Formula<4, 1> for LocationPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, nu, y]: [R; 4]) -> [R; 1] {
        let distance = y - location;
        let x = distance / scale;
        let factor = (nu + nu.lit(1.0)) * nu.lit(-self.slope);
        let plain = factor / x.mul_add(x, nu) * x / scale;
        let near = x.abs().lt(x.lit(FAR));
        if near.all() {
            return [plain];
        }
        // NaN is neither near nor far.
        let far = factor / (nu / x).mul_add(scale, distance);
        let far = R::select(x.abs().ge(x.lit(FAR)), far, x);
        [R::select(near, plain, far)]
    }
}

/// `slope` times the derivative with respect to the scale, `nu (1 - x^2) / (nu + x^2) / s`.
struct ScalePull {
    slope: f64,
}
impl Formula<4, 1> for ScalePull {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, nu, y]: [R; 4]) -> [R; 1] {
        let x = (y - location) / scale;
        let near = x.abs().lt(x.lit(FAR));
        let share = nu / x.mul_add(x, nu) * (x.lit(1.0) - x * x);
        let q = x.lit(1.0) / x;
        let far = nu * (q * q - x.lit(1.0)) / (nu * q).mul_add(q, x.lit(1.0));
        // NaN is neither near nor far.
        let far = R::select(x.abs().ge(x.lit(FAR)), far, x);
        [R::select(near, share, far) / scale * scale.lit(self.slope)]
    }
}

/// `slope` times the derivative with respect to the degrees of freedom,
/// `(ln(1 + x^2/nu) - (nu + 1) x^2 / (nu (nu + x^2)))/2 - c'(nu)`; the last term is given.
struct FreedomPull {
    slope: f64,
}
impl Formula<5, 1> for FreedomPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, scale, nu, y, log_norm_slope]: [R; 5]) -> [R; 1] {
        let (distance, half) = (y - location, nu.lit(0.5));
        let x = distance / scale;
        let far = x.abs().ge(x.lit(FAR));
        let q = x.lit(1.0) / x;
        let most = x.lit(1.0) / (nu * q).mul_add(q, x.lit(1.0));
        let share = R::select(far, most, x * x / x.mul_add(x, nu));
        let fall = (nu + nu.lit(1.0)) / nu * share;
        let slope = (growth(distance, scale, nu) - fall) * half - log_norm_slope;
        [slope * nu.lit(self.slope)]
    }
}

/// Runs `f` with `function` of the degrees of freedom, in their shape.
fn of_freedom<T: Element>(nu: View<'_, T>, function: fn(f64) -> f64, f: impl FnOnce(View<'_, T>)) {
    with_scratch(nu.data().len(), |values: &mut [T]| {
        for (value, nu) in values.iter_mut().zip(nu.data()) {
            *value = T::from_f64(function(nu.to_f64()));
        }
        f(View::new(*nu.shape(), values).expect("sized for this shape"));
    });
}

compiled_once!(MeanScore<StudentTNll, 4>);
compiled_once!(LogProb<StudentTNll, 4>);
impl Likelihood<4> for StudentTNll {
    const NAME: &'static str = NAME;
    const LOG_PROB: &'static str = LOG_PROB;

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 4], scores: &mut [T]) {
        let [location, scale, nu, y] = inputs;
        of_freedom(nu, student_t_log_norm, |log_norm| {
            evaluate(NAME, &Nll, shape, [location, scale, nu, y, log_norm], scores);
        });
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 4],
        slope: f64,
        [d_location, d_scale, d_nu, d_y]: &mut [Option<ViewMut<'_, T>>; 4],
    ) {
        for (d_input, slope) in [(d_location, slope), (d_y, -slope)] {
            if let Some(d) = d_input {
                pull(NAME, &LocationPull { slope }, shape, inputs, d);
            }
        }
        if let Some(d) = d_scale {
            pull(NAME, &ScalePull { slope }, shape, inputs, d);
        }
        if let Some(d) = d_nu {
            let [location, scale, nu, y] = inputs;
            of_freedom(nu, student_t_log_norm_slope, |log_norm_slope| {
                let sources = [location, scale, nu, y, log_norm_slope];
                pull(NAME, &FreedomPull { slope }, shape, sources, d);
            });
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln p(y)` in nats under Student's t distribution with
    /// `degrees_of_freedom > 0`, shifted by the location and multiplied by `scale > 0`. Its
    /// variance is `scale^2 nu / (nu - 2)` for `nu > 2`, and infinite or undefined below. The
    /// shapes broadcast to the shape of the locations or of `y`. Degrees of freedom of shape `[]`
    /// are common to all elements.
    ///
    /// With few degrees of freedom, distant values have less influence than under
    /// [`Tape::gaussian_nll`]: the gradient with respect to the location is at most
    /// `(nu + 1) / (2 scale sqrt(nu))`, and decreases as 1 over the distance.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let location = tape.variable([1], &[0.0])?;
    /// let one = tape.constant([], &[1.0])?; // both the scale and the degrees of freedom: Cauchy's distribution
    /// let y = tape.constant([1], &[1.0])?;
    /// let nll = tape.student_t_nll(location, one, one, y)?;
    /// assert!((tape.scalar(nll)? - std::f64::consts::TAU.ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, have no elements, or broadcast to a shape that neither
    /// locations nor `y` have; if a scale or a number of degrees of freedom is not above 0; or if a
    /// variable is stale.
    pub fn student_t_nll(
        &mut self,
        location: Var,
        scale: Var,
        degrees_of_freedom: Var,
        y: Var,
    ) -> Result<Var, Error> {
        let inputs = [location, scale, degrees_of_freedom, y];
        self.check(NAME, &inputs)?;
        self.check_above_zero(NAME, "scale", scale)?;
        self.check_above_zero(NAME, "degrees_of_freedom", degrees_of_freedom)?;
        self.record_single(MeanScore(StudentTNll), &inputs)
    }

    /// The log-density `ln p(y)` of every element in nats, in the shape to which the inputs
    /// broadcast. [`Tape::student_t_nll`] is its negative mean. [`Tape::mixture_of`] scores
    /// mixtures over samples of it.
    ///
    /// # Errors
    /// Fails as [`Tape::student_t_nll`] does.
    pub fn student_t_log_prob(
        &mut self,
        location: Var,
        scale: Var,
        degrees_of_freedom: Var,
        y: Var,
    ) -> Result<Var, Error> {
        let inputs = [location, scale, degrees_of_freedom, y];
        self.check(LOG_PROB, &inputs)?;
        self.check_above_zero(LOG_PROB, "scale", scale)?;
        self.check_above_zero(LOG_PROB, "degrees_of_freedom", degrees_of_freedom)?;
        self.record_single(LogProb(StudentTNll), &inputs)
    }
}
