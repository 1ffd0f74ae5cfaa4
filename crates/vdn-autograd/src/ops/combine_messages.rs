//! One step of the backward pass of a smoother: what the future says of a latent, joined to what the present says.
//!
//! The message of the next step is `Normal(z_next; m', r')`; through the prior `Normal(phi z, s^2)` it becomes, up to a
//! factor, a normal function of `z` with the precision `phi^2 A` and the precision times mean `phi A m'`, where
//! `A = 1/(r' + s^2)`. The product with `Normal(z; m, r)` adds precisions. Written with `L = 1/r` everywhere, so that a
//! missing message (`r = inf`) is a precision of 0 and `phi = 0` divides nothing:
//!
//! ```text
//! A = L' / (1 + s^2 L')      precision = L + phi^2 A      mean = (L m + phi A m') / precision
//! ```
//!
//! Where the precision is 0 the result is missing too, with mean 0.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate_all, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, broadcast_shape};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "combine_messages";

/// Inputs: `m, log_r, m_next, log_r_next, phi, logvar`.
struct CombineMessages;

/// The local precision, that of the next message, `A`, the total precision and the mean.
#[inline(always)]
fn parts<R: Real>([m, log_r, next, log_r_next, phi, logvar]: [R; 6]) -> [R; 8] {
    let zero = m.lit(0.0);
    let (here, there) = ((-log_r).exp(), (-log_r_next).exp());
    // Means of missing messages may be anything.
    let m = R::select(zero.lt(here), m, zero);
    let next = R::select(zero.lt(there), next, zero);
    let shrink = m.lit(1.0) / logvar.exp().mul_add(there, m.lit(1.0));
    let a = there * shrink;
    let precision = (phi * phi).mul_add(a, here);
    let sum = (phi * a).mul_add(next, here * m);
    let known = zero.lt(precision);
    let inverse = R::select(known, m.lit(1.0) / precision, zero);
    [m, next, here, there, shrink, a, inverse, sum * inverse]
}

struct Value;
impl Formula<6, 2> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, x: [R; 6]) -> [R; 2] {
        let [_, _, here, _, _, a, _, mean] = parts(x);
        let precision = (x[4] * x[4]).mul_add(a, here);
        [mean, -precision.ln()]
    }
}

struct Pull;
impl Formula<8, 6> for Pull {
    #[inline(always)]
    fn apply<R: Real>(
        &self,
        [m, log_r, next, log_r_next, phi, logvar, d_mean, d_log_r]: [R; 8],
    ) -> [R; 6] {
        let [m, next, here, there, shrink, a, inverse, mean] =
            parts([m, log_r, next, log_r_next, phi, logvar]);
        // By the sum L m + phi A m', by the precision, and by A.
        let d_sum = d_mean * inverse;
        let d_precision = -(d_mean.mul_add(mean, d_log_r) * inverse);
        let d_a = phi * (phi * d_precision + next * d_sum);
        [
            d_sum * here,
            -(here * d_sum.mul_add(m, d_precision)),
            phi * a * d_sum,
            -(there * shrink * shrink * d_a),
            a * ((phi + phi) * d_precision + next * d_sum),
            -(logvar.exp() * a * a * d_a),
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
    /// Joins the message `Normal(z; m, e^log_r)` of a step with that of the next step, `Normal(z_next; m_next,
    /// e^log_r_next)`, seen through the prior `z_next ~ Normal(phi z, e^logvar)`. Returns mean and log-variance of the
    /// joined message; all shapes broadcast, an infinite log-variance is a missing message.
    ///
    /// Applied from the last step to the first it turns filtering messages into smoothing ones: with them
    /// [`Tape::structured_step`] draws from the exact posterior of a linear Gaussian model.
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
    /// The shapes do not broadcast; a variable is stale.
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
