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

/// Whether the precision of the prior and the variance of the previous latent are both far from the
/// ends of the floating-point range.
#[inline(always)]
fn ordinary<R: Real>(precision: R, before: R) -> R::Mask {
    is_ordinary(precision) & before.lt(before.lit(80.0))
}

/// Computes `phi sqrt(v_prev) / s` without overflow of the factors.
#[inline(always)]
fn relative<R: Real>(phi: R, before: R, prior: R) -> R {
    times_exp(phi, (before - prior) * phi.lit(0.5))
}

/// Returns `mu - phi mu_prev`, and its mean square over `s^2`.
#[inline(always)]
fn parts<R: Real>([mu, previous, phi, prior, before]: [R; 5]) -> [R; 2] {
    let (e, precision) = (mu - phi * previous, (-prior).exp());
    let plain = e.mul_add(e, phi * (phi * before.exp())) * precision;
    let ordinary = ordinary(precision, before);
    if ordinary.all() {
        return [e, plain];
    }
    let spread = relative(phi, before, prior);
    [e, R::select(ordinary, plain, spread.mul_add(spread, mismatch(e, prior)))]
}

struct Value;
impl Formula<6, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, logvar, previous, phi, prior, before]: [R; 6]) -> [R; 1] {
        let [_, mismatch] = parts([mu, previous, phi, prior, before]);
        [(exp_m1_minus(logvar - prior) + mismatch) * mu.lit(0.5)]
    }
}

/// The slope of `phi`, `dk (phi v_prev - e mu_prev) / s^2`, without overflow of the factors.
#[inline(always)]
fn extreme_d_phi<R: Real>([dk, e, previous, phi, prior, before]: [R; 6]) -> R {
    let infinity = dk.lit(f64::INFINITY);
    let spread = times_exp(dk * phi, before - prior);
    let shift = times_exp(dk * e * previous, -prior);
    let within = spread.abs().lt(infinity) | shift.abs().lt(infinity);
    if within.all() {
        return spread - shift;
    }
    // Both terms may overflow. Then the sign of the result is the sign of the larger term, so the
    // difference is taken before the common factor is multiplied in.
    let part = (before * dk.lit(0.5)).max(dk.lit(0.0));
    let sum = times_exp(phi, before - part) - times_exp(e * previous, -part);
    R::select(within, spread - shift, times_exp(dk * sum, part - prior))
}

struct Pull;
impl Formula<7, 6> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, logvar, previous, phi, prior, before, dk]: [R; 7]) -> [R; 6] {
        let [e, mismatch] = parts([mu, previous, phi, prior, before]);
        let (half, precision, spread) = (dk * dk.lit(0.5), (-prior).exp(), phi * before.exp());
        let scaled = dk * precision;
        let mut d_mu = scaled * e;
        let mut d_previous = -(d_mu * phi);
        let mut d_phi = scaled * spread - d_mu * previous;
        let mut d_before = half * precision * phi * spread;
        let ordinary = ordinary(precision, before);
        if !ordinary.all() {
            d_mu = R::select(ordinary, d_mu, times_exp(dk * e, -prior));
            // This is `d_mu phi`, computed as a whole where `d_mu` alone overflows.
            let within = d_mu.abs().lt(d_mu.lit(f64::INFINITY));
            let whole = times_exp(dk * e * phi, -prior);
            d_previous = R::select(ordinary, d_previous, -R::select(within, d_mu * phi, whole));
            d_phi =
                R::select(ordinary, d_phi, extreme_d_phi([dk, e, previous, phi, prior, before]));
            let spread = relative(phi, before, prior);
            d_before = R::select(ordinary, d_before, half * spread * spread);
        }
        let excess = (logvar - prior).exp_m1();
        [d_mu, half * excess, d_previous, d_phi, -(half * (excess + mismatch)), d_before]
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
