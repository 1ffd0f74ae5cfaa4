//! One step of the structured posterior of a sequence: the prior's conditional distribution times a
//! Gaussian message.
//!
//! The prior is `Normal(c, s^2)` with `c = phi z_prev`, and the message is `Normal(z; m, r)`:
//!
//! ```text
//! d = ln s^2 - ln r      g = sigmoid(d)      (the gain)      e = m - c      w = e^2 / s^2
//! q = Normal(c + g e, s^2 (1 - g))           z = c + g e + s sqrt(1 - g) eps
//! KL(q || prior) = [-ln(1 - g) - g + g^2 w] / 2
//! ```
//!
//! Nothing cancels: `1 - g = sigmoid(-d)`, `-ln(1 - g) = softplus(d)`, and for small `g` the first
//! two terms are computed together. A missing message has `r = inf`. Then `g = 0`, the step is a
//! draw from the prior and costs exactly 0, and its `m`, whatever its value is, gets the gradient
//! 0.
//!
//! The slopes are `dg/dd = g (1 - g)`, `d ln(s sqrt(1 - g))/dd = -g/2` and
//! `dKL/dd = g^2 [1/2 + (1 - g) w]`. The formulas are in `vdn_tensor::families::conditional`, the
//! fused kernel in `vdn_tensor::kernels::unit`.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::ops::sample_kl::Noise;
use crate::tape::Tape;
use crate::var::{Outputs, Var};
use vdn_tensor::kernels::unit::{
    ConditionalGradients, ConditionalOutputs, ConditionalUnits, UnitNoise, conditional_backward,
    conditional_forward,
};
use vdn_tensor::kernels::{broadcast_copy, broadcast_shape, reduce_to_shape};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "structured_step";
/// The number of inputs without noise: message, its log-variance, previous latent, coefficient,
/// log-variance of the prior.
const INPUTS: usize = 5;

/// The prior of one step, `Normal(phi previous, e^logvar)`, as variables that broadcast to
/// `[samples, batch, units]`.
#[derive(Clone, Copy, Debug)]
pub struct ConditionalPrior {
    /// The previous latent, `[samples, batch, units]`; or a mean, with a `phi` of 1.
    pub previous: Var,
    /// The coefficient, `[units]` or `[]`.
    pub phi: Var,
    /// The log-variance `ln s^2`, `[units]` or `[]`.
    pub logvar: Var,
}

/// The outputs of [`Tape::structured_step`] and [`Tape::structured_step_mean`].
#[derive(Clone, Copy, Debug)]
pub struct StepOutputs {
    /// The draws from the posterior, `[samples, batch, units]`.
    pub z: Var,
    /// The divergence from the prior given the previous latent, in nats: `[samples, batch, units]`,
    /// or its mean over samples and batch, `[units]`.
    pub kl: Var,
}

struct StructuredStep {
    samples: usize,
    /// `None`: the noise is the sixth input.
    key: Option<NoiseKey>,
    /// Whether the divergence of each element is an output, not only the mean.
    elements: bool,
}

/// The shapes of the inputs in the kernel.
struct Layout {
    rows: usize,
    columns: usize,
    samples: usize,
    shapes: [Shape; INPUTS],
}

impl Layout {
    /// Messages that differ between samples are treated as messages of a larger batch.
    fn new(shape: &Shape, inputs: &[&Shape]) -> Self {
        let &[samples, batch, columns] = shape.dims() else { unreachable!("three axes") };
        let own = |shape: &Shape| shape.rank() == 3 && shape.dims()[0] > 1;
        let message = match own(inputs[0]) || own(inputs[1]) {
            true => *shape,
            false => Shape::from([1, batch, columns]),
        };
        let rows = message.numel() / columns;
        let column = Shape::from([columns]);
        let shapes = [message, message, *shape, column, column];
        Self { rows, columns, samples: samples * batch / rows, shapes }
    }

    /// Returns the length of scratch memory for inputs that have to be repeated.
    fn repeated<T: Element>(&self, inputs: &[View<'_, T>]) -> usize {
        let pairs = self.shapes.iter().zip(inputs);
        pairs.filter(|(to, x)| to.numel() != x.shape().numel()).map(|(to, _)| to.numel()).sum()
    }
}

impl StructuredStep {
    /// Calls `f` with the inputs in the kernel's form.
    fn with_units<T: Element>(
        &self,
        layout: &Layout,
        inputs: &[View<'_, T>],
        f: impl FnOnce(&ConditionalUnits<'_, T>),
    ) {
        with_scratch(layout.repeated(inputs), |scratch: &mut [T]| {
            let mut rest = scratch;
            let mut data: [&[T]; INPUTS] = [&[]; INPUTS];
            for ((data, input), to) in data.iter_mut().zip(inputs).zip(&layout.shapes) {
                if input.shape().numel() == to.numel() {
                    *data = input.data();
                    continue;
                }
                let (copy, others) = std::mem::take(&mut rest).split_at_mut(to.numel());
                broadcast_copy(input.data(), input.shape(), copy, to);
                (*data, rest) = (copy, others);
            }
            let Layout { rows, columns, samples, .. } = *layout;
            let [m, log_r, previous, phi, logvar] = data;
            let noise = match self.key {
                Some(key) => UnitNoise::Addressed(key),
                None => UnitNoise::Given(inputs[INPUTS].data()),
            };
            f(&ConditionalUnits { rows, columns, samples, m, log_r, previous, phi, logvar, noise });
        });
    }
}

fn shapes_of<'a, T>(inputs: &'a [View<'_, T>]) -> [&'a Shape; 2]
where
    T: Element,
{
    [inputs[0].shape(), inputs[1].shape()]
}

compiled_once!(StructuredStep);
impl<T: Element> Definition<T> for StructuredStep {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let samples = Shape::new(&[self.samples, 1, 1])?;
        let mut all = [&samples; INPUTS + 1];
        all[1..].copy_from_slice(&inputs[..INPUTS]);
        let shape = broadcast_shape(NAME, &all)?;
        if shape.rank() != 3 || shape.dims()[0] != self.samples || shape.numel() == 0 {
            let reason = format!("needs [{} samples, batch, units], not empty", self.samples);
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        let units = shape.dims()[2];
        if inputs[3..INPUTS].iter().any(|x| x.numel() != 1 && x.numel() != x.last()) {
            let reason =
                format!("coefficient and log-variance of the prior have to be [{units}] or []");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        if inputs.get(INPUTS).is_some_and(|noise| **noise != shape) {
            return Err(ShapeError::new(
                NAME,
                inputs,
                format!("the given noise has to be {shape}"),
            ));
        }
        outputs.push(shape);
        outputs.push(Shape::new(&[units])?);
        if self.elements {
            outputs.push(shape);
        }
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let layout = Layout::new(outputs[0].shape(), &shapes_of(inputs));
        self.with_units(&layout, inputs, |units| {
            let [z, mean_kl, rest @ ..] = outputs else { unreachable!("two outputs at least") };
            let (z, mean_kl) = (z.data_mut(), mean_kl.data_mut());
            let kl = rest.first_mut().map(|kl| kl.data_mut());
            conditional_forward(units, ConditionalOutputs { z, kl, mean_kl });
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let layout = Layout::new(outputs[0].shape(), &shapes_of(inputs));
        let given = |i: usize| d_outputs.get(i).copied().flatten().map(|d| d.data());
        let (d_inputs, noise) = d_inputs.split_at_mut(INPUTS);
        self.with_units(&layout, inputs, |units| {
            with_scratch(layout.repeated(inputs), |scratch: &mut [T]| {
                // Gradients of repeated inputs: full size first, then summed.
                let mut rest = scratch;
                let mut to: [Option<&mut [T]>; INPUTS] = [const { None }; INPUTS];
                let mut sums = [const { None }; INPUTS];
                let all = d_inputs.iter_mut().zip(&layout.shapes).enumerate();
                for (i, (d, shape)) in all {
                    let Some(d) = d else { continue };
                    if d.shape().numel() == shape.numel() {
                        to[i] = Some(d.data_mut());
                        continue;
                    }
                    let (full, others) = std::mem::take(&mut rest).split_at_mut(shape.numel());
                    rest = others;
                    sums[i] = Some((full, d));
                }
                for (to, sum) in to.iter_mut().zip(&mut sums) {
                    if let Some((full, _)) = sum {
                        *to = Some(full);
                    }
                }
                let [d_m, d_log_r, d_previous, d_phi, d_logvar] = to;
                let z = outputs[0].data();
                conditional_backward(
                    units,
                    ConditionalGradients {
                        z,
                        d_z: given(0),
                        d_kl: given(2),
                        d_mean_kl: given(1),
                        d_m,
                        d_log_r,
                        d_previous,
                        d_phi,
                        d_logvar,
                    },
                );
                for (sum, shape) in sums.into_iter().zip(&layout.shapes) {
                    if let Some((full, d)) = sum {
                        let to = *d.shape();
                        reduce_to_shape(full, shape, d.data_mut(), &to);
                    }
                }
            });
        });
        if let Some(Some(d)) = noise.first_mut() {
            d.data_mut().fill(T::ZERO);
        }
    }
}

impl<T: Element> Tape<T> {
    /// Draws from the posterior, which is proportional to `prior * Normal(z; m, r)`, and computes
    /// its divergence from the prior, given the previous latent. Both are differentiable with
    /// respect to the message and to all parts of the prior.
    ///
    /// `m` and `log_r` broadcast to `[samples, batch, units]` (usually from `[batch, units]`). An
    /// infinite `log_r` means that nothing was observed. Noise that is given gets no gradient.
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
    /// Fails if the shapes do not broadcast to `[samples, batch, units]`, if there are no samples,
    /// or if a variable is stale.
    pub fn structured_step(
        &mut self,
        m: Var,
        log_r: Var,
        prior: ConditionalPrior,
        samples: usize,
        noise: Noise,
    ) -> Result<StepOutputs, Error> {
        let outputs = self.record_structured([m, log_r], prior, samples, noise, true)?;
        Ok(StepOutputs { z: outputs[0], kl: outputs[2] })
    }

    /// Does what [`Tape::structured_step`] does, with the divergence of each unit averaged over
    /// samples and batch, `[units]`. Training needs no more, and a quarter less memory is read and
    /// written.
    ///
    /// # Errors
    /// Fails as [`Tape::structured_step`] does.
    pub fn structured_step_mean(
        &mut self,
        m: Var,
        log_r: Var,
        prior: ConditionalPrior,
        samples: usize,
        noise: Noise,
    ) -> Result<StepOutputs, Error> {
        let outputs = self.record_structured([m, log_r], prior, samples, noise, false)?;
        Ok(StepOutputs { z: outputs[0], kl: outputs[1] })
    }

    fn record_structured(
        &mut self,
        [m, log_r]: [Var; 2],
        prior: ConditionalPrior,
        samples: usize,
        noise: Noise,
        elements: bool,
    ) -> Result<Outputs, Error> {
        let ConditionalPrior { previous, phi, logvar } = prior;
        match noise {
            Noise::Addressed(key) => self.record(
                StructuredStep { samples, key: Some(key), elements },
                &[m, log_r, previous, phi, logvar],
            ),
            Noise::Given(eps) => self.record(
                StructuredStep { samples, key: None, elements },
                &[m, log_r, previous, phi, logvar, eps],
            ),
        }
    }
}
