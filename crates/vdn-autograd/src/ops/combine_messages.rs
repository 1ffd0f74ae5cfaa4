//! One step of a smoother's backward pass: joins the message from the future with the message of
//! the present step.
//!
//! The message of the next step is `Normal(z_next; m', r')`. Seen through the prior
//! `Normal(phi z, s^2)` it becomes, up to a factor, a normal function of `z`. With
//! `A = 1/(r' + s^2)`, its precision is `phi^2 A`, and its precision times its mean is `phi A m'`.
//! The product with `Normal(z; m, r)` adds precisions:
//!
//! ```text
//! precision = 1/r + phi^2 A      mean = (m/r + phi A m') / precision
//! ```
//!
//! Both terms of the precision are taken relative to the larger term, through their logarithms
//! `-log_r` and `ln phi^2 - ln(e^log_r' + s^2)`. Nothing overflows if the log-variances are finite.
//! The one exception is the derivative with respect to `phi`: it is `A / precision` times a number
//! of the size of the means, and may itself be out of range.
//!
//! A missing message (`r = inf`) has the precision 0, and nothing is divided by `phi`. If the total
//! precision is 0, the result is missing, too, with mean 0.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate_all, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::times_exp;
use vdn_tensor::kernels::{Formula, broadcast_shape};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "combine_messages";

/// Inputs: `m, log_r, m_next, log_r_next, phi, logvar`.
struct CombineMessages;

/// The parts from which values and gradients are made.
struct Parts<R> {
    m: R,
    next: R,
    /// `1/(r precision)`, the share of the local message.
    here: R,
    /// `phi A / precision`.
    pull: R,
    /// `ln(A / precision)`.
    log_there: R,
    mean: R,
    log_r: R,
}

#[inline(always)]
fn parts<R: Real>([m, log_r, next, log_r_next, phi, logvar]: [R; 6]) -> Parts<R> {
    let [zero, missing] = [0.0, f64::INFINITY].map(|x| m.lit(x));
    // The means of missing messages are arbitrary.
    let m = R::select(missing.le(log_r), zero, m);
    let next = R::select(missing.le(log_r_next), zero, next);
    let log_a = -(logvar + (log_r_next - logvar).softplus());
    let log_future = phi.abs().ln() * phi.lit(2.0) + log_a;
    let largest = R::select((-log_r).lt(log_future), log_future, -log_r);
    // If both messages are missing, the value does not matter.
    let nothing = largest.le(-missing);
    let largest = R::select(nothing, zero, largest);
    let (own, future) = ((-log_r - largest).exp(), (log_future - largest).exp());
    let sum = own + future;
    let inverse = R::select(sum.le(zero), zero, m.lit(1.0) / sum);
    let (here, share) = (own * inverse, future * inverse);
    let pull = R::select(share.le(zero), zero, share / phi);
    let log_r = -(largest + sum.ln());
    let log_there = R::select(sum.le(zero), -missing, log_a + log_r);
    Parts { m, next, here, pull, log_there, mean: pull.mul_add(next, here * m), log_r }
}

struct Value;
impl Formula<6, 2> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, x: [R; 6]) -> [R; 2] {
        let parts = parts(x);
        [parts.mean, parts.log_r]
    }
}

struct Pull;
impl Formula<8, 6> for Pull {
    #[inline(always)]
    fn apply<R: Real>(
        &self,
        [m, log_r, next, log_r_next, phi, logvar, d_mean, d_log_r]: [R; 8],
    ) -> [R; 6] {
        let distance = log_r_next - logvar;
        let Parts { m, next, here, pull, log_there, mean, .. } =
            parts([m, log_r, next, log_r_next, phi, logvar]);
        let d_log_a = pull * ((next - phi * mean) * d_mean - phi * d_log_r);
        [
            here * d_mean,
            here * (d_log_r - (m - mean) * d_mean),
            pull * d_mean,
            -(distance.sigmoid() * d_log_a),
            times_exp(next * d_mean, log_there) - (pull + pull) * (mean * d_mean + d_log_r),
            -((-distance).sigmoid() * d_log_a),
        ]
    }
}

compiled_once!(CombineMessages);
impl<T: Element> Definition<T> for CombineMessages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let shape = broadcast_shape(NAME, inputs)?;
        outputs.push(shape);
        outputs.push(shape);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [mean, log_r] = outputs else { unreachable!("two outputs were declared") };
        let shape = *mean.shape();
        let inputs = std::array::from_fn(|i| inputs[i]);
        evaluate_all(NAME, &Value, &shape, inputs, [mean.data_mut(), log_r.data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let zero = [T::ZERO];
        let none = View::new(Shape::SCALAR, &zero).expect("one number");
        let (d_mean, d_log_r) = (d_outputs[0].unwrap_or(none), d_outputs[1].unwrap_or(none));
        let i = inputs;
        let sources = [i[0], i[1], i[2], i[3], i[4], i[5], d_mean, d_log_r];
        pull_all(NAME, &Pull, outputs[0].shape(), sources, d_inputs);
    }
}

impl<T: Element> Tape<T> {
    /// Joins the message `Normal(z; m, e^log_r)` of a step with the message of the next step,
    /// `Normal(z_next; m_next, e^log_r_next)`, seen through the prior
    /// `z_next ~ Normal(phi z, e^logvar)`. Returns mean and log-variance of the joined message. All
    /// shapes broadcast. An infinite log-variance is a missing message.
    ///
    /// Applied from the last step to the first, it turns filtering messages into smoothing
    /// messages. With these, [`Tape::structured_step`] draws from the exact posterior of a linear
    /// Gaussian model.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let [zero, one, missing] = [0.0, 1.0, f64::INFINITY].map(|x| tape.constant([], &[x]).unwrap());
    /// let [mean, log_r] = tape.combine_messages([zero, missing], [one, zero], one, zero)?;
    /// assert_eq!(tape.scalar(mean)?, 1.0);
    /// assert!((tape.scalar(log_r)? - 2f64.ln()).abs() < 1e-15); // r' + s^2
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn combine_messages(
        &mut self,
        [m, log_r]: [Var; 2],
        [m_next, log_r_next]: [Var; 2],
        phi: Var,
        logvar: Var,
    ) -> Result<[Var; 2], Error> {
        let inputs = [m, log_r, m_next, log_r_next, phi, logvar];
        let outputs = self.record(CombineMessages, &inputs)?;
        Ok([outputs[0], outputs[1]])
    }
}
