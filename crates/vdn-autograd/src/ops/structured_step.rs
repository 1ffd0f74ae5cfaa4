//! One step of the structured posterior of a sequence: the prior's conditional distribution times a Gaussian message.
//!
//! With the prior `Normal(c, s^2)`, `c = phi z_prev`, and the message `Normal(z; m, r)`:
//!
//! ```text
//! d = ln s^2 - ln r      g = sigmoid(d)      (the gain)      e = m - c      w = e^2 / s^2
//! q = Normal(c + g e, s^2 (1 - g))           z = c + g e + s sqrt(1 - g) eps
//! KL(q || prior) = [-ln(1 - g) - g + g^2 w] / 2
//! ```
//!
//! Nothing cancels: `1 - g = sigmoid(-d)`, `-ln(1 - g) = softplus(d)`, and for small `g` the first two terms are taken
//! together. A missing message is `r = inf`: then `g = 0`, the step is a draw from the prior, costs exactly 0, and its
//! `m`, whatever it is, gets the gradient 0.
//!
//! Slopes: `dg/dd = g (1 - g)`, `d ln(s sqrt(1 - g))/dd = -g/2`, `dKL/dd = g^2 [1/2 + (1 - g) w]`.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate_all, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::ops::sample_kl::Noise;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::ln_1p_minus;
use vdn_tensor::kernels::{Formula, broadcast_shape};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "structured_step";

/// The prior of one step, as variables that broadcast to `[samples, batch, units]`: `Normal(phi previous, e^logvar)`.
#[derive(Clone, Copy, Debug)]
pub struct ConditionalPrior {
    /// The previous latent, `[samples, batch, units]` (or a mean: then `phi` is 1).
    pub previous: Var,
    /// The coefficient, `[units]` or `[]`.
    pub phi: Var,
    /// `ln s^2`, `[units]` or `[]`.
    pub logvar: Var,
}

/// What [`Tape::structured_step`] gives.
#[derive(Clone, Copy, Debug)]
pub struct StepOutputs {
    /// The draws from the posterior, `[samples, batch, units]`.
    pub z: Var,
    /// The divergence from the prior given the previous latent, in nats, `[samples, batch, units]`.
    pub kl: Var,
}

struct StructuredStep {
    samples: usize,
    /// `None`: the sixth input.
    key: Option<NoiseKey>,
}

/// Gain, its complement, `m - c` (0 where the message is missing) and `s sqrt(1 - g)`.
#[inline(always)]
fn parts<R: Real>([m, log_r, previous, phi, logvar]: [R; 5]) -> [R; 5] {
    let d = logvar - log_r;
    let (gain, rest) = (d.sigmoid(), (-d).sigmoid());
    let zero = m.lit(0.0);
    let e = R::select(zero.lt(gain), m - phi * previous, zero);
    let deviation = ((logvar - d.softplus()) * m.lit(0.5)).exp();
    [d, gain, rest, e, deviation]
}

struct Value;
impl Formula<6, 2> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [m, log_r, previous, phi, logvar, eps]: [R; 6]) -> [R; 2] {
        let [d, gain, _, e, deviation] = parts([m, log_r, previous, phi, logvar]);
        let z = deviation.mul_add(eps, gain.mul_add(e, phi * previous));
        let small = gain.lt(gain.lit(0.25));
        let narrowing = R::select(small, -ln_1p_minus(-gain), d.softplus() - gain);
        let pull = gain * e;
        [z, (pull * pull).mul_add((-logvar).exp(), narrowing) * m.lit(0.5)]
    }
}

/// The gradients of the five inputs, from those of `z` and the KL.
struct Pull;
impl Formula<8, 5> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [m, log_r, previous, phi, logvar, eps, dz, dk]: [R; 8]) -> [R; 5] {
        let [_, gain, rest, e, deviation] = parts([m, log_r, previous, phi, logvar]);
        let half = m.lit(0.5);
        let noise = dz * deviation * eps * half;
        let scaled = e * (-logvar).exp();
        let (cost, w) = (dk * gain * gain, e * scaled);
        let d_m = dz.mul_add(gain, cost * scaled);
        let d_c = dz - d_m;
        let d_d = gain * (dz * rest * e - noise) + cost * rest.mul_add(w, half);
        let d_logvar = d_d + noise - cost * w * half;
        [d_m, -d_d, d_c * phi, d_c * previous, d_logvar]
    }
}

impl StructuredStep {
    /// Calls `f` with the noise.
    fn with_noise<T: Element>(
        &self,
        shape: Shape,
        inputs: &[View<'_, T>],
        f: impl FnOnce(View<'_, T>),
    ) {
        match self.key {
            None => f(inputs[5]),
            Some(key) => with_scratch(shape.numel(), |eps: &mut [T]| {
                key.fill_normal(0, eps);
                f(View::new(shape, eps).expect("sized for this shape"));
            }),
        }
    }
}

compiled_once!(StructuredStep);
impl<T: Element> Definition<T> for StructuredStep {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let samples = Shape::new(&[self.samples, 1, 1])?;
        let mut all = [&samples; 6];
        all[1..].copy_from_slice(&inputs[..5]);
        let shape = broadcast_shape(NAME, &all)?;
        if shape.rank() != 3 || shape.dims()[0] != self.samples || shape.numel() == 0 {
            let reason = format!("needs [{} samples, batch, units], not empty", self.samples);
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        if inputs.get(5).is_some_and(|noise| **noise != shape) {
            return Err(ShapeError::new(
                NAME,
                inputs,
                format!("the given noise has to be {shape}"),
            ));
        }
        outputs.push(shape);
        outputs.push(shape);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [z, kl] = outputs else { unreachable!("two outputs were declared") };
        let shape = *z.shape();
        self.with_noise(shape, inputs, |eps| {
            let inputs = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], eps];
            evaluate_all(NAME, &Value, &shape, inputs, [z.data_mut(), kl.data_mut()]);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let shape = *outputs[0].shape();
        let zero = [T::ZERO];
        let none = View::new(Shape::SCALAR, &zero).expect("one number");
        let (dz, dk) = (d_outputs[0].unwrap_or(none), d_outputs[1].unwrap_or(none));
        self.with_noise(shape, inputs, |eps| {
            let i = inputs;
            let sources = [i[0], i[1], i[2], i[3], i[4], eps, dz, dk];
            pull_all(NAME, &Pull, &shape, sources, &mut d_inputs[..5]);
        });
        if let Some(Some(d)) = d_inputs.get_mut(5) {
            d.data_mut().fill(T::ZERO);
        }
    }
}

impl<T: Element> Tape<T> {
    /// Draws from the posterior proportional to `prior * Normal(z; m, r)` and gives its divergence from the prior, given
    /// the previous latent; differentiable in the message and in everything the prior is made of.
    ///
    /// `m` and `log_r` broadcast to `[samples, batch, units]` (usually `[batch, units]`); `log_r` infinite means that
    /// nothing was seen there. Noise that is given gets no gradient.
    ///
    /// ```
    /// use vdn_autograd::{ConditionalPrior, Noise, Tape};
    /// use vdn_tensor::noise::NoiseKey;
    /// let mut tape = Tape::<f64>::new();
    /// let previous = tape.constant([1, 1, 2], &[1.0, 1.0])?;
    /// let (phi, logvar) = (tape.variable([2], &[0.5, 0.5])?, tape.variable([2], &[0.0, 0.0])?);
    /// let m = tape.variable([1, 2], &[2.0, f64::NAN])?;
    /// let log_r = tape.variable([1, 2], &[0.0, f64::INFINITY])?; // the second unit saw nothing
    /// let prior = ConditionalPrior { previous, phi, logvar };
    /// let noise = Noise::Addressed(NoiseKey::new(1, 0, 0));
    /// let step = tape.structured_step(m, log_r, prior, 1, noise)?;
    /// let want = 0.5 * (2f64.ln() - 0.5 + 0.25 * 1.5 * 1.5); // gain 1/2, e = 3/2
    /// assert!((tape.value(step.kl).data()[0] - want).abs() < 1e-15);
    /// assert_eq!(tape.value(step.kl).data()[1], 0.0);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast to `[samples, batch, units]`; there are no samples; a variable is stale.
    pub fn structured_step(
        &mut self,
        m: Var,
        log_r: Var,
        prior: ConditionalPrior,
        samples: usize,
        noise: Noise,
    ) -> Result<StepOutputs, Error> {
        let ConditionalPrior { previous, phi, logvar } = prior;
        let outputs = match noise {
            Noise::Addressed(key) => self.record(
                StructuredStep { samples, key: Some(key) },
                &[m, log_r, previous, phi, logvar],
            )?,
            Noise::Given(eps) => self.record(
                StructuredStep { samples, key: None },
                &[m, log_r, previous, phi, logvar, eps],
            )?,
        };
        Ok(StepOutputs { z: outputs[0], kl: outputs[1] })
    }
}
