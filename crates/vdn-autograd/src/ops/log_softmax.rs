//! The logarithm of the softmax over one axis. The maximum is subtracted before the logarithm of
//! the sum, so that nothing overflows and large equal numbers give an exact result.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::evaluate;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{self, Formula};
use vdn_tensor::{Element, MAX_RANK, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "log_softmax";

struct LogSoftmax {
    axis: usize,
}

struct Difference;
impl Formula<2, 1> for Difference {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [a - b]
    }
}

/// `dy - softmax * total`, where the softmax is `e^y` and the total is the sum of `dy` over the
/// axis.
struct Slope;
impl Formula<3, 1> for Slope {
    #[inline(always)]
    fn apply<R: Real>(&self, [y, dy, total]: [R; 3]) -> [R; 1] {
        [dy - y.exp() * total]
    }
}

/// The shape with a size of 1 at `axis`.
fn single(shape: &Shape, axis: usize) -> Shape {
    let mut dims = [1; MAX_RANK];
    dims[..shape.rank()].copy_from_slice(shape.dims());
    dims[axis] = 1;
    Shape::new(&dims[..shape.rank()]).expect("no larger than a shape that exists")
}

/// `out = ln softmax(x)` over `axis`, which is an axis of `x`.
pub(super) fn log_softmax<T: Element>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    let (shape, Some(around)) = (*x.shape(), x.shape().around(axis)) else { return };
    if shape.numel() == 0 {
        return;
    }
    let one = single(&shape, axis);
    with_scratch(shape.numel(), |shifted: &mut [T]| {
        with_scratch(one.numel(), |of_axis: &mut [T]| {
            kernels::max_axis(x.data(), around, of_axis);
            let largest = View::new(one, of_axis).expect("sized for this shape");
            evaluate(NAME, &Difference, &shape, [x, largest], shifted);
            kernels::logsumexp(shifted, around, of_axis);
            let shifted = View::new(shape, shifted).expect("sized for this shape");
            let log_sum = View::new(one, of_axis).expect("sized for this shape");
            evaluate(NAME, &Difference, &shape, [shifted, log_sum], out);
        });
    });
}

compiled_once!(LogSoftmax);
impl<T: Element> Definition<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if around(NAME, inputs[0], self.axis)?.1 == 0 {
            let reason = format!("axis {} has no elements", self.axis);
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        log_softmax(inputs[0], self.axis, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let (shape, Some(around)) = (*dy.shape(), dy.shape().around(self.axis)) else { return };
        let one = single(&shape, self.axis);
        with_scratch(one.numel(), |totals: &mut [T]| {
            kernels::sum_axis(dy.data(), around, totals);
            let totals = View::new(one, totals).expect("sized for this shape");
            evaluate(NAME, &Slope, &shape, [outputs[0], dy, totals], dx.data_mut());
        });
    }
}

impl<T: Element> Tape<T> {
    /// The logarithm of the softmax, `ln(exp(x) / sum exp(x))`, with the sum over `axis`. The shape
    /// stays. An entry of minus infinity gives minus infinity. The result is NaN if all entries are
    /// minus infinity, or if one is plus infinity.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.variable([1, 2], &[1000.0, 1000.0 + 3_f64.ln()])?;
    /// let log_p = tape.log_softmax(x, 1)?;
    /// let [first, second] = [0, 1].map(|i| tape.value(log_p).data()[i].exp());
    /// // Rounding of numbers near 1000: 1e-13.
    /// assert!((first - 0.25).abs() < 1e-12 && (second - 0.75).abs() < 1e-12);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if there is no such axis, or it has size 0, or if `x` is stale.
    pub fn log_softmax(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(LogSoftmax { axis }, &[x])
    }
}
