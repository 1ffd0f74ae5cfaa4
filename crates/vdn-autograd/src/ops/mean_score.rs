//! [`Likelihood`]: the frame of operations that score values under a distribution of each element.
//!
//! The inputs broadcast to one shape. Every element of this shape has a score, and the operation
//! returns the mean of the scores. A likelihood defines a score and its derivatives.

use crate::compiled_once::Definition;
use crate::elementwise::broadcasting::scored_shape;
use crate::op::Shapes;
use vdn_tensor::kernels::sum_all;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, with_scratch};

/// A score of `IN` inputs: predictions first, scored values last.
pub(super) trait Likelihood<const IN: usize>: Send + 'static {
    /// The name of the mean score in messages.
    const NAME: &'static str;
    /// The name of the element-wise log-probability in messages.
    const LOG_PROB: &'static str;

    /// Computes the score in nats of every element of `shape`, to which the inputs broadcast.
    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; IN], scores: &mut [T]);

    /// Writes the required gradients: `slope` times the derivatives of a score, summed over
    /// everything that was repeated when an input was broadcast.
    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; IN],
        slope: f64,
        d_inputs: &mut [Option<ViewMut<'_, T>>; IN],
    );
}

/// The operation: the mean score over all elements, of shape `[]`.
pub(super) struct MeanScore<L, const IN: usize>(pub(super) L);

impl<L: Likelihood<IN>, const IN: usize> MeanScore<L, IN> {
    /// Returns the inputs and the shape to which they broadcast. Recording checked that they do.
    fn parts<'a, T>(inputs: &[View<'a, T>]) -> Option<([View<'a, T>; IN], Shape)>
    where
        T: Element,
    {
        let inputs = <[View<'a, T>; IN]>::try_from(inputs).ok()?;
        let shape = scored_shape(L::NAME, &inputs.each_ref().map(View::shape)).ok()?;
        Some((inputs, shape))
    }
}

impl<T: Element, L: Likelihood<IN>, const IN: usize> Definition<T> for MeanScore<L, IN> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        scored_shape(L::NAME, inputs)?;
        outputs.push(Shape::SCALAR);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some((inputs, shape)) = Self::parts(inputs) else { return };
        with_scratch(shape.numel(), |scores: &mut [T]| {
            self.0.scores(&shape, inputs, scores);
            outputs[0].data_mut()[0] = sum_all(scores) / T::from_f64(shape.numel() as f64);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some((inputs, shape)) = Self::parts(inputs) else { return };
        let Some(d) = d_outputs[0].and_then(|d| d.item()) else { return };
        let Ok(d_inputs) = d_inputs.try_into() else { return };
        self.0.gradients(&shape, inputs, d.to_f64() / shape.numel() as f64, d_inputs);
    }
}
