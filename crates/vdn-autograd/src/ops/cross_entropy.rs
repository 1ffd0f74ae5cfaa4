//! The mean negative log-probability of classes under a softmax, with label smoothing.
//!
//! Softmax and logarithm are one operation, because a probability that underflows to 0 has no
//! logarithm. The log-probabilities of all classes are kept for the backward pass, whose slope is
//! `p - target`.

use super::log_softmax::log_softmax;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, map, sum_all};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "cross_entropy";

/// The outputs are the mean and, for the backward pass, the log-probabilities of all classes.
struct CrossEntropy {
    smoothing: f64,
}

/// `slope * (e^x - shift)`.
struct Slope {
    slope: f64,
    shift: f64,
}
impl Formula<1, 1> for Slope {
    #[inline(always)]
    fn apply<R: Real>(&self, [x]: [R; 1]) -> [R; 1] {
        [(x.exp() - x.lit(self.shift)) * x.lit(self.slope)]
    }
}

compiled_once!(CrossEntropy);
impl<T: Element> Definition<T> for CrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let refuse = |reason: &str| Err(ShapeError::new(NAME, inputs, reason));
        let Some((_, rows)) = inputs[0].dims().split_last() else {
            return refuse("the logits need the shape [.., classes]");
        };
        if inputs[1].dims() != rows {
            return refuse("the classes need the shape of the logits without the last dimension");
        }
        if inputs[0].numel() == 0 {
            return refuse("there is nothing to score");
        }
        outputs.push(Shape::SCALAR);
        outputs.push_workspace(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [nll, log_p] = outputs else { return };
        let (axis, classes) = (inputs[0].shape().rank() - 1, inputs[0].shape().last());
        log_softmax(inputs[0], axis, log_p.data_mut());
        let rows = inputs[1].data().len();
        with_scratch(rows, |scores: &mut [T]| {
            let rows = log_p.data().chunks_exact(classes).zip(inputs[1].data());
            for (score, (log_p, class)) in scores.iter_mut().zip(rows) {
                let mut value = (1.0 - self.smoothing) * log_p[class.to_f64() as usize].to_f64();
                // Without smoothing, a class of probability 0 must not meet a weight of 0.
                if self.smoothing > 0.0 {
                    let all: f64 = log_p.iter().map(|x| x.to_f64()).sum();
                    value += self.smoothing / classes as f64 * all;
                }
                *score = T::from_f64(-value);
            }
            nll.data_mut()[0] = sum_all(scores) / T::from_f64(scores.len() as f64);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d) = d_outputs[0].and_then(|d| d.item()) else { return };
        let [d_logits, d_classes] = d_inputs else { return };
        if let Some(d_classes) = d_classes {
            d_classes.data_mut().fill(T::ZERO);
        }
        let Some(d_logits) = d_logits else { return };
        let (classes, chosen) = (inputs[0].shape().last(), inputs[1].data());
        let slope = d.to_f64() / chosen.len() as f64;
        let shift = self.smoothing / classes as f64;
        let log_p = outputs[1].data();
        map(&Slope { slope, shift }, [log_p], [d_logits.data_mut()]);
        let rows = d_logits.data_mut().chunks_exact_mut(classes).zip(log_p.chunks_exact(classes));
        for ((d, log_p), class) in rows.zip(chosen) {
            // p - 1 without cancellation if the model is certain of the right class.
            let class = class.to_f64() as usize;
            let excess = log_p[class].to_f64().exp_m1() + self.smoothing - shift;
            d[class] = T::from_f64(slope * excess);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all rows of `-ln softmax(logits)[class]`, in nats. `logits` is
    /// `[.., classes]`. `classes` contains a whole number for each row, as [`Tape::indices`]
    /// records them; it has no gradient.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let logits = tape.variable([1, 4], &[0.0; 4])?;
    /// let class = tape.indices([1], &[2])?;
    /// let loss = tape.cross_entropy(logits, class)?;
    /// assert!((tape.scalar(loss)? - 4_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, if there are no rows, if a class is not a whole number below
    /// the number of classes, or if a variable is stale.
    pub fn cross_entropy(&mut self, logits: Var, classes: Var) -> Result<Var, Error> {
        self.cross_entropy_smoothed(logits, classes, 0.0)
    }

    /// The [`Tape::cross_entropy`] with smoothed targets: `1 - smoothing` for the class of the row,
    /// plus `smoothing / classes` for every class. `0 <= smoothing < 1`.
    ///
    /// # Errors
    /// Fails as [`Tape::cross_entropy`] does, or if the smoothing is outside its domain.
    pub fn cross_entropy_smoothed(
        &mut self,
        logits: Var,
        classes: Var,
        smoothing: f64,
    ) -> Result<Var, Error> {
        if !(0.0..1.0).contains(&smoothing) {
            let reason = format!("the smoothing {smoothing} is not in [0, 1)");
            return Err(Error::invalid(NAME, reason));
        }
        self.check(NAME, &[logits, classes])?;
        let (shape, chosen) = (*self.shape(logits), *self.shape(classes));
        if shape.dims().split_last().is_some_and(|(_, rows)| rows == chosen.dims()) {
            self.check_indices(NAME, classes, shape.last())?;
        }
        self.record_single(CrossEntropy { smoothing }, &[logits, classes])
    }
}
