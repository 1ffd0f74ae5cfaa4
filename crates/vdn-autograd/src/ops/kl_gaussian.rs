//! The Kullback-Leibler divergence between two normal distributions, each given by mean and
//! `logvar = 2 log sigma`.
//!
//! With `d = logvar_q - logvar_p`: `KL = (e^d - 1 - d + (mu_q - mu_p)^2 e^-logvar_p) / 2`. The
//! first three terms are evaluated together (`exp_m1_minus`), because they would cancel one by one
//! when a posterior is close to its prior.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{declare, evaluate, pull};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::gaussian::exp_m1_minus;
use vdn_tensor::families::{mismatch, times_exp};
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "kl_gaussian";

struct KlGaussian;

struct Value;
impl Formula<4, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu_q, logvar_q, mu_p, logvar_p]: [R; 4]) -> [R; 1] {
        let mismatch = mismatch(mu_q - mu_p, logvar_p);
        [(exp_m1_minus(logvar_q - logvar_p) + mismatch) * mu_q.lit(0.5)]
    }
}

/// The gradient with respect to `mu_q`; the gradient with respect to `mu_p` is its negative.
struct MeanPull {
    sign: f64,
}
impl Formula<4, 1> for MeanPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy, mu_q, mu_p, logvar_p]: [R; 4]) -> [R; 1] {
        [times_exp(dy * dy.lit(self.sign) * (mu_q - mu_p), -logvar_p)]
    }
}

struct PosteriorLogvarPull;
impl Formula<3, 1> for PosteriorLogvarPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy, logvar_q, logvar_p]: [R; 3]) -> [R; 1] {
        [dy * dy.lit(0.5) * (logvar_q - logvar_p).exp_m1()]
    }
}

struct PriorLogvarPull;
impl Formula<5, 1> for PriorLogvarPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy, mu_q, logvar_q, mu_p, logvar_p]: [R; 5]) -> [R; 1] {
        let mismatch = mismatch(mu_q - mu_p, logvar_p);
        [dy * dy.lit(-0.5) * ((logvar_q - logvar_p).exp_m1() + mismatch)]
    }
}

compiled_once!(KlGaussian);
impl<T: Element> Definition<T> for KlGaussian {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        declare(NAME, inputs, 4, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let shape = *outputs[0].shape();
        let inputs = [inputs[0], inputs[1], inputs[2], inputs[3]];
        evaluate(NAME, &Value, &shape, inputs, outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), &[mu_q, logvar_q, mu_p, logvar_p]) = (d_outputs[0], inputs) else { return };
        let [d_mu_q, d_logvar_q, d_mu_p, d_logvar_p] = d_inputs else { return };
        let shape = dy.shape();
        for (d_mu, sign) in [(d_mu_q, 1.0), (d_mu_p, -1.0)] {
            if let Some(d) = d_mu {
                pull(NAME, &MeanPull { sign }, shape, [dy, mu_q, mu_p, logvar_p], d);
            }
        }
        if let Some(d) = d_logvar_q {
            pull(NAME, &PosteriorLogvarPull, shape, [dy, logvar_q, logvar_p], d);
        }
        if let Some(d) = d_logvar_p {
            pull(NAME, &PriorLogvarPull, shape, [dy, mu_q, logvar_q, mu_p, logvar_p], d);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The divergence `KL(Normal(mu_q, e^logvar_q) || Normal(mu_p, e^logvar_p))` in nats, element
    /// by element. The four shapes broadcast, for instance a prior of shape `[units]` or `[]`
    /// against a posterior of shape `[batch, units]`.
    ///
    /// The result is accurate and never negative, however close the two distributions are.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// let [mu, logvar] = [tape.constant([1], &[0.0])?, tape.constant([1], &[1e-4])?];
    /// let zero = tape.constant([], &[0.0])?;
    /// let kl = tape.kl_gaussian(mu, logvar, zero, zero)?;
    /// assert!((tape.scalar(kl)? - 2.5e-9).abs() < 1e-12);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn kl_gaussian(
        &mut self,
        mu_q: Var,
        logvar_q: Var,
        mu_p: Var,
        logvar_p: Var,
    ) -> Result<Var, Error> {
        self.record_single(KlGaussian, &[mu_q, logvar_q, mu_p, logvar_p])
    }
}
