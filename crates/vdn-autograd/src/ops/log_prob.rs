//! The log-probability (or log-density) of every element, from which mixtures over samples are
//! computed.
//!
//! The means over elements are operations such as `bernoulli_nll`. The Gaussian and Student's t
//! with a given logarithm of the scale are in `log_density`.

use super::mean_score::Likelihood;
use crate::compiled_once::Definition;
use crate::elementwise::broadcasting::scored_shape;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::likelihood::Score;
use vdn_tensor::kernels::reduce_to_shape;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, with_scratch};

/// The number of elements per parallel task.
const TASK: usize = 4096;

/// The operation: the negated score of every element, in the shape to which the inputs broadcast.
pub(super) struct LogProb<L, const IN: usize>(pub(super) L);

impl<L: Likelihood<IN>, const IN: usize> LogProb<L, IN> {
    /// Returns the inputs and the shape to which they broadcast. Recording checked that they do.
    fn parts<'a, T>(inputs: &[View<'a, T>]) -> Option<([View<'a, T>; IN], Shape)>
    where
        T: Element,
    {
        let inputs = <[View<'a, T>; IN]>::try_from(inputs).ok()?;
        let shape = scored_shape(L::LOG_PROB, &inputs.each_ref().map(View::shape)).ok()?;
        Some((inputs, shape))
    }
}

impl<T: Element, L: Likelihood<IN>, const IN: usize> Definition<T> for LogProb<L, IN> {
    fn name(&self) -> &'static str {
        L::LOG_PROB
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(scored_shape(L::LOG_PROB, inputs)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some((inputs, shape)) = Self::parts(inputs) else { return };
        let to = outputs[0].data_mut();
        self.0.scores(&shape, inputs, to);
        for_each_chunk(to, TASK, |_, to| to.iter_mut().for_each(|x| *x = -*x));
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some((inputs, shape)), Some(d)) = (Self::parts(inputs), d_outputs[0]) else { return };
        let numel = shape.numel();
        with_scratch(IN * numel, |full: &mut [T]| {
            // First the derivatives of every element, in the full shape. They are summed down to
            // the shapes of the inputs below.
            let mut parts = full.chunks_exact_mut(numel);
            let mut own: [Option<ViewMut<'_, T>>; IN] = std::array::from_fn(|input| {
                let part = parts.next()?;
                d_inputs[input].as_ref()?;
                ViewMut::new(shape, part).ok()
            });
            self.0.gradients(&shape, inputs, -1.0, &mut own);
            for (own, d_input) in own.iter_mut().zip(d_inputs) {
                let (Some(own), Some(d_input)) = (own, d_input) else { continue };
                for_each_chunk(own.data_mut(), TASK, |task, own| {
                    for (own, &d) in own.iter_mut().zip(&d.data()[task * TASK..]) {
                        *own *= d;
                    }
                });
                let to = *d_input.shape();
                reduce_to_shape(own.data(), &shape, d_input.data_mut(), &to);
            }
        });
    }
}

const MIXTURE: &str = "mixture_of";

impl<T: Element> Tape<T> {
    /// The negative score of a mixture over samples, in nats per element: [`Tape::mixture_nll`] for
    /// any likelihood. `log_p` is the log-probability of every sample and element,
    /// `[samples, batch, horizon]`; the result is a scalar.
    ///
    /// If elements are not scored jointly, such as one class per row, the horizon is 1 and all
    /// kinds of [`Score`] are equal.
    ///
    /// ```
    /// use vdn_autograd::{Score, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// // Two samples give what happened the probabilities 1/2 and 1/4: 3/8 on average.
    /// let logits = tape.variable([2, 1, 1], &[0.0, -(3_f64.ln())])?;
    /// let y = tape.constant([1, 1], &[1.0])?;
    /// let log_p = tape.bernoulli_log_prob(logits, y)?;
    /// let nll = tape.mixture_of(log_p, Score::Joint)?;
    /// assert!((tape.scalar(nll)? + (3.0_f64 / 8.0).ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the log-probabilities do not have three dimensions, if there are none, or if
    /// `log_p` is stale.
    pub fn mixture_of(&mut self, log_p: Var, score: Score) -> Result<Var, Error> {
        self.check(MIXTURE, &[log_p])?;
        let shape = *self.shape(log_p);
        let &[samples, _, horizon] = shape.dims() else {
            let reason = "the log-probabilities need the shape [samples, batch, horizon]";
            return Err(ShapeError::new(MIXTURE, &[&shape], reason).into());
        };
        if shape.numel() == 0 {
            return Err(ShapeError::new(MIXTURE, &[&shape], "there is nothing to score").into());
        }
        let of_samples = match score {
            Score::Marginal => log_p,
            Score::Joint => self.sum_axis(log_p, 2)?,
            Score::Tempered => self.mean_axis(log_p, 2)?,
        };
        let mixed = self.logsumexp(of_samples, 0)?;
        let mean = self.mean(mixed)?;
        let shifted = self.add_scalar(mean, T::from_f64(-(samples as f64).ln()))?;
        let divisor = if score == Score::Joint { horizon as f64 } else { 1.0 };
        self.scale(shifted, T::from_f64(-1.0 / divisor))
    }
}
