//! The divergence of a normal posterior from an autoregressive prior, averaged over the
//! distribution of the previous latent.
//!
//! The posterior is `Normal(mu, sigma^2)` and the prior is `Normal(phi z_prev, s^2)`. The previous
//! latent `z_prev` has the mean `mu_prev` and the variance `v_prev`, and is independent of `z`
//! (mean field). With `d = ln sigma^2 - ln s^2`:
//!
//! ```text
//! E KL = [e^d - 1 - d + ((mu - phi mu_prev)^2 + phi^2 v_prev) / s^2] / 2
//! ```
//!
//! The average over the previous latent is exact (Rao-Blackwell), without sampling noise. Without
//! `v_prev` the result is the divergence given one value of the previous latent.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{declare, evaluate_all, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::ops::structured_step::ConditionalPrior;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::gaussian::exp_m1_minus;
use vdn_tensor::families::{is_ordinary, mismatch, times_exp};
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Mask, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "kl_autoregressive";

/// The inputs are `mu, logvar, previous, phi, logvar of the prior` and, optionally,
/// `logvar of the previous`.
struct KlAutoregressive;

/// Returns `mu - phi mu_prev`, and the mean square over `s^2`.
#[inline(always)]
fn parts<R: Real>([mu, previous, phi, prior, before]: [R; 5]) -> [R; 2] {
    let (e, precision) = (mu - phi * previous, (-prior).exp());
    let plain = e.mul_add(e, phi * (phi * before.exp())) * precision;
    let ordinary = is_ordinary(precision);
    if ordinary.all() {
        return [e, plain];
    }
    [e, R::select(ordinary, plain, mismatch(e, prior) + times_exp(phi * phi, before - prior))]
}

struct Value;
impl Formula<6, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, logvar, previous, phi, prior, before]: [R; 6]) -> [R; 1] {
        let [_, mismatch] = parts([mu, previous, phi, prior, before]);
        [(exp_m1_minus(logvar - prior) + mismatch) * mu.lit(0.5)]
    }
}

struct Pull;
impl Formula<7, 6> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, logvar, previous, phi, prior, before, dk]: [R; 7]) -> [R; 6] {
        let [e, mismatch] = parts([mu, previous, phi, prior, before]);
        let (half, precision, spread) = (dk * dk.lit(0.5), (-prior).exp(), phi * before.exp());
        let scaled = dk * precision;
        let mut d_mu = scaled * e;
        let mut d_spread = [scaled * spread, half * precision * phi * spread];
        let ordinary = is_ordinary(precision);
        if !ordinary.all() {
            d_mu = R::select(ordinary, d_mu, times_exp(dk * e, -prior));
            let factors = [dk * phi, half * phi * phi];
            for (d, factor) in d_spread.iter_mut().zip(factors) {
                *d = R::select(ordinary, *d, times_exp(factor, before - prior));
            }
        }
        let excess = (logvar - prior).exp_m1();
        [
            d_mu,
            half * excess,
            -(d_mu * phi),
            d_spread[0] - d_mu * previous,
            -(half * (excess + mismatch)),
            d_spread[1],
        ]
    }
}

/// Returns all inputs; a previous latent whose variance is not given is known exactly.
fn complete<'a, T: Element>(inputs: &[View<'a, T>], known: &View<'a, T>) -> [View<'a, T>; 6] {
    std::array::from_fn(|i| *inputs.get(i).unwrap_or(known))
}

compiled_once!(KlAutoregressive);
impl<T: Element> Definition<T> for KlAutoregressive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        declare(NAME, inputs, inputs.len().clamp(5, 6), outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let shape = *outputs[0].shape();
        let nothing = [T::from_f64(f64::NEG_INFINITY)];
        let known = View::new(Shape::SCALAR, &nothing).expect("one number");
        let inputs = complete(inputs, &known);
        evaluate_all(NAME, &Value, &shape, inputs, [outputs[0].data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dk) = d_outputs[0] else { return };
        let nothing = [T::from_f64(f64::NEG_INFINITY)];
        let known = View::new(Shape::SCALAR, &nothing).expect("one number");
        let [mu, logvar, previous, phi, prior, before] = complete(inputs, &known);
        let sources = [mu, logvar, previous, phi, prior, before, dk];
        pull_all(NAME, &Pull, dk.shape(), sources, d_inputs);
    }
}

impl<T: Element> Tape<T> {
    /// The divergence of `Normal(mu, e^logvar)` from `prior` in nats, element by element. All
    /// shapes broadcast.
    ///
    /// * With `previous_logvar`, `prior.previous` is the mean of a previous latent with this
    ///   log-variance, and the result is the average over that latent: the mean-field term.
    /// * Without it, `prior.previous` is a sample of the previous latent, and the result is the
    ///   divergence given this sample. If the previous *mean* is given instead, the result is the
    ///   term called `penalty`, which is not a bound.
    ///
    /// ```
    /// use vdn_autograd::{ConditionalPrior, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// let [zero, half] = [tape.constant([], &[0.0])?, tape.constant([], &[0.5])?];
    /// let prior = ConditionalPrior { previous: zero, phi: half, logvar: zero };
    /// let kl = tape.kl_autoregressive(zero, zero, prior, Some(zero))?;
    /// assert_eq!(tape.scalar(kl)?, 0.125); // phi^2 v_prev / 2
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn kl_autoregressive(
        &mut self,
        mu: Var,
        logvar: Var,
        prior: ConditionalPrior,
        previous_logvar: Option<Var>,
    ) -> Result<Var, Error> {
        let ConditionalPrior { previous, phi, logvar: prior } = prior;
        match previous_logvar {
            Some(before) => {
                self.record_single(KlAutoregressive, &[mu, logvar, previous, phi, prior, before])
            }
            None => self.record_single(KlAutoregressive, &[mu, logvar, previous, phi, prior]),
        }
    }
}
