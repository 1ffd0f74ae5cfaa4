//! The log-probability of the class of every row under a softmax. Its negative mean over rows is
//! `cross_entropy`.

use super::log_softmax::log_softmax;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "class_log_prob";

/// The number of rows per parallel task.
const TASK: usize = 256;

/// Outputs: the log-probability of every row's class, and, kept for the backward pass, the
/// log-probabilities of all classes.
struct ClassLogProb;

compiled_once!(ClassLogProb);
impl<T: Element> Definition<T> for ClassLogProb {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let refuse = |reason: &str| Err(ShapeError::new(NAME, inputs, reason));
        let Some((_, rows)) = inputs[0].dims().split_last() else {
            return refuse("the logits need the shape [.., classes]");
        };
        if !rows.ends_with(inputs[1].dims()) {
            return refuse(
                "the classes need the shape of the logits without the last dimension, or without \
                 further ones at the beginning",
            );
        }
        if inputs[0].numel() == 0 {
            return refuse("there is nothing to score");
        }
        outputs.push(Shape::new(rows)?);
        outputs.push_workspace(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [chosen, log_p] = outputs else { return };
        let (axis, classes) = (inputs[0].shape().rank() - 1, inputs[0].shape().last());
        log_softmax(inputs[0], axis, log_p.data_mut());
        let of_rows = inputs[1].data();
        let rows = log_p.data().chunks_exact(classes).zip(of_rows.iter().cycle());
        for (chosen, (log_p, class)) in chosen.data_mut().iter_mut().zip(rows) {
            *chosen = log_p[class.to_f64() as usize];
        }
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(d), [d_logits, d_classes]) = (d_outputs[0], d_inputs) else { return };
        if let Some(d_classes) = d_classes {
            d_classes.data_mut().fill(T::ZERO);
        }
        let Some(d_logits) = d_logits else { return };
        let (classes, of_rows) = (inputs[0].shape().last(), inputs[1].data());
        let (log_p, d) = (outputs[1].data(), d.data());
        for_each_chunk(d_logits.data_mut(), TASK * classes, |task, to| {
            for (at, to) in to.chunks_exact_mut(classes).enumerate() {
                let row = task * TASK + at;
                let (log_p, d) = (&log_p[row * classes..][..classes], d[row].to_f64());
                for (to, log_p) in to.iter_mut().zip(log_p) {
                    *to = T::from_f64(-d * log_p.to_f64().exp());
                }
                // Computes `1 - p` without cancellation if the model is sure of the right class.
                let class = of_rows[row % of_rows.len()].to_f64() as usize;
                to[class] = T::from_f64(-d * log_p[class].to_f64().exp_m1());
            }
        });
    }
}

impl<T: Element> Tape<T> {
    /// The log-probability `ln softmax(logits)[class]` of the class of every row, in nats.
    ///
    /// `logits` are `[.., classes]`; the result is `[..]`. `classes` holds one whole number per
    /// row, as [`Tape::indices`] records them, and has a gradient of 0. Its shape is `[..]` or a
    /// trailing part of it: for logits `[samples, batch, classes]` the classes are
    /// `[samples, batch]`, or `[batch]` if all samples share them.
    ///
    /// ```
    /// use vdn_autograd::{Score, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// // Two samples, one row, two classes: the probabilities 1/2 and 3/4 of the class.
    /// let logits = tape.variable([2, 1, 2], &[0.0, 0.0, 0.0, 3_f64.ln()])?;
    /// let class = tape.indices([1], &[1])?;
    /// let log_p = tape.class_log_prob(logits, class)?; // [2, 1]
    /// let log_p = tape.reshape(log_p, [2, 1, 1])?;
    /// let nll = tape.mixture_of(log_p, Score::Marginal)?;
    /// assert!((tape.scalar(nll)? + 0.625_f64.ln()).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, if there are no rows, if a class is not a whole number below
    /// the number of classes, or if a variable is stale.
    pub fn class_log_prob(&mut self, logits: Var, classes: Var) -> Result<Var, Error> {
        self.check(NAME, &[logits, classes])?;
        let (shape, chosen) = (*self.shape(logits), *self.shape(classes));
        if shape.dims().split_last().is_some_and(|(_, rows)| rows.ends_with(chosen.dims())) {
            self.check_indices(NAME, classes, shape.last())?;
        }
        self.record_single(ClassLogProb, &[logits, classes])
    }
}
