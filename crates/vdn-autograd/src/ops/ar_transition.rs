//! The coefficient and the variance of an autoregressive prior of order 1, over a gap of any number
//! of steps.
//!
//! The coefficient is `phi = tanh a` with `1 - phi^2 = sech^2 a`, or `phi = e^(-dt/tau)` with
//! `a = ln tau`. Over a gap of `n` steps the coefficient is `phi^n`, and the variance is `s^2 S`
//! with `S = 1 + phi^2 + ... + phi^(2n-2) = (1 - phi^2n)/(1 - phi^2)`. `S` is computed by doubling,
//! as sums of positive terms, so nothing cancels near `|phi| = 1` and nothing is divided by 0. The
//! scale is free, or `s^2 = 1 - phi^2`, which is stationary with variance 1.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate_all, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, broadcast_shape};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "ar_transition";

/// The map from a persistence parameter `a` to `phi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Persistence {
    /// `phi = tanh a`: any stationary coefficient.
    Tanh,
    /// `phi = e^(-dt e^-a)` with this `dt`, above 0, and `a = ln tau`: positive coefficients,
    /// parameterised by their time constant.
    TimeConstant(f64),
}

/// The start and the length of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The first step: the stationary distribution, whose coefficient is 0.
    Initial,
    /// A transition over this many steps, at least 1.
    Steps(u32),
}

struct ArTransition {
    persistence: Persistence,
    gap: Gap,
    /// Whether the second input is `ln s`; if not, the prior is stationary with variance 1.
    free_scale: bool,
}

/// Returns `phi`, `ln(1 - phi^2)`, and their slopes with respect to `a`.
#[inline(always)]
fn coefficient<R: Real>(persistence: Persistence, a: R) -> [R; 4] {
    let two = a.lit(2.0);
    match persistence {
        Persistence::Tanh => {
            let (phi, size) = (a.tanh(), a.abs());
            let log = two * (a.lit(std::f64::consts::LN_2) - size - (-(size + size)).softplus());
            [phi, log, log.exp(), -(two * phi)]
        }
        Persistence::TimeConstant(dt) => {
            let x = (-a).exp() * a.lit(dt);
            let rest = -(-(x + x)).exp_m1();
            let phi = (-x).exp();
            [phi, rest.ln(), phi * x, -(two * x * phi * phi / rest)]
        }
    }
}

/// Returns `phi^n`, `S`, and their slopes with respect to `phi`.
#[inline(always)]
fn powers<R: Real>(phi: R, n: u32) -> [R; 4] {
    let (one, square) = (phi.lit(1.0), phi * phi);
    let [mut power, mut d_power] = [phi, one];
    // The sum and its slope with respect to phi^2.
    let [mut sum, mut d_sum] = [one, phi.lit(0.0)];
    // The slope of phi^2k with respect to phi^2, after k steps.
    let mut d_square = one;
    for bit in (0..n.max(1).ilog2()).rev() {
        let p = power * power;
        d_sum = d_sum * (p + one) + sum * d_square;
        sum = sum * (p + one);
        d_square = d_square * (p + p);
        d_power = d_power * (power + power);
        power = p;
        if n >> bit & 1 == 1 {
            d_sum = d_sum * square + sum;
            sum = sum * square + one;
            d_square = d_square * square + power * power;
            d_power = d_power * phi + power;
            power = power * phi;
        }
    }
    [power, sum, d_power, d_sum * (phi + phi)]
}

impl ArTransition {
    /// Returns coefficient and log-variance, and their slopes with respect to `a`.
    #[inline(always)]
    fn all<R: Real>(&self, [a, log_scale]: [R; 2]) -> [R; 4] {
        let [phi, log_rest, d_phi, d_rest] = coefficient(self.persistence, a);
        let zero = a.lit(0.0);
        let [base, d_base] =
            if self.free_scale { [log_scale + log_scale, zero] } else { [log_rest, d_rest] };
        match self.gap {
            Gap::Initial if self.free_scale => [zero, base - log_rest, zero, -d_rest],
            Gap::Initial => [zero; 4],
            Gap::Steps(n) => {
                let [power, sum, d_power, d_sum] = powers(phi, n);
                [power, base + sum.ln(), d_power * d_phi, d_base + d_sum * d_phi / sum]
            }
        }
    }
}

impl Formula<2, 2> for ArTransition {
    #[inline(always)]
    fn apply<R: Real>(&self, x: [R; 2]) -> [R; 2] {
        let [phi, logvar, ..] = self.all(x);
        [phi, logvar]
    }
}

struct Pull<'a>(&'a ArTransition);
impl Formula<4, 2> for Pull<'_> {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, log_scale, d_phi, d_logvar]: [R; 4]) -> [R; 2] {
        let [.., by_a, logvar_by_a] = self.0.all([a, log_scale]);
        [d_phi.mul_add(by_a, d_logvar * logvar_by_a), d_logvar + d_logvar]
    }
}

compiled_once!(ArTransition);
impl<T: Element> Definition<T> for ArTransition {
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
        let [phi, logvar] = outputs else { unreachable!("two outputs were declared") };
        let (shape, scale) = (*phi.shape(), *inputs.get(1).unwrap_or(&inputs[0]));
        let outputs = [phi.data_mut(), logvar.data_mut()];
        evaluate_all(NAME, self, &shape, [inputs[0], scale], outputs);
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
        let (d_phi, d_logvar) = (d_outputs[0].unwrap_or(none), d_outputs[1].unwrap_or(none));
        let scale = *inputs.get(1).unwrap_or(&inputs[0]);
        let sources = [inputs[0], scale, d_phi, d_logvar];
        pull_all(NAME, &Pull(self), outputs[0].shape(), sources, d_inputs);
    }
}

impl<T: Element> Tape<T> {
    /// The coefficient and the log-variance of the prior of a step given the latent `gap` steps
    /// earlier, both of the shape of `a`, `[units]`. With `log_scale` (`ln s`, of the same shape)
    /// the scale is free. Without it the prior is stationary with variance 1.
    ///
    /// ```
    /// use vdn_autograd::{Gap, Persistence, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// let a = tape.variable([1], &[0.9_f64.atanh()])?;
    /// let [phi, logvar] = tape.ar_transition(a, None, Persistence::Tanh, Gap::Steps(3))?;
    /// assert!((tape.scalar(phi)? - 0.729).abs() < 1e-15);
    /// assert!((tape.scalar(logvar)? - (1.0 - 0.729_f64.powi(2)).ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails for a gap of 0 steps, for a time step that is not positive, if the shapes do not
    /// broadcast, or if a variable is stale.
    pub fn ar_transition(
        &mut self,
        a: Var,
        log_scale: Option<Var>,
        persistence: Persistence,
        gap: Gap,
    ) -> Result<[Var; 2], Error> {
        if gap == Gap::Steps(0) {
            return Err(Error::invalid(NAME, "a gap of 0 steps leads nowhere"));
        }
        if let Persistence::TimeConstant(dt) = persistence
            && !(dt > 0.0 && dt.is_finite())
        {
            return Err(Error::invalid(NAME, format!("a time step of {dt}, has to be positive")));
        }
        let op = ArTransition { persistence, gap, free_scale: log_scale.is_some() };
        let outputs = match log_scale {
            Some(scale) => self.record(op, &[a, scale])?,
            None => self.record(op, &[a])?,
        };
        Ok([outputs[0], outputs[1]])
    }
}
