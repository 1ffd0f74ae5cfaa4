//! Permutation of axes.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, MAX_RANK, Shape, ShapeError, View, ViewMut};

const NAME: &str = "permute";

/// The size of a task, in numbers.
const TASK: usize = 16_384;

/// Axis `i` of the output is axis `axes[i]` of the input.
struct Permute {
    axes: [usize; MAX_RANK],
    rank: usize,
}

/// Copies `x`, of shape `from`, to `out`; axis `i` of `out` is axis `axes[i]` of `x`.
fn copy<T: Element>(x: &[T], from: &Shape, axes: &[usize], out: &mut [T]) {
    let mut strides = [1; MAX_RANK];
    for axis in (1..axes.len()).rev() {
        strides[axis - 1] = strides[axis] * from.dims()[axis];
    }
    let (mut sizes, mut steps) = ([1; MAX_RANK], [0; MAX_RANK]);
    for (i, &axis) in axes.iter().enumerate() {
        (sizes[i], steps[i]) = (from.dims()[axis], strides[axis]);
    }
    for_each_chunk(out, TASK, |task, out| {
        let (mut index, mut rest, mut at) = ([0; MAX_RANK], task * TASK, 0);
        for i in (0..axes.len()).rev() {
            index[i] = rest % sizes[i];
            rest /= sizes[i];
            at += index[i] * steps[i];
        }
        for to in out {
            *to = x[at];
            for i in (0..axes.len()).rev() {
                index[i] += 1;
                at += steps[i];
                if index[i] < sizes[i] {
                    break;
                }
                at -= sizes[i] * steps[i];
                index[i] = 0;
            }
        }
    });
}

compiled_once!(Permute);
impl<T: Element> Definition<T> for Permute {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let (axes, dims) = (&self.axes[..self.rank], inputs[0].dims());
        let once = |axis| axes.iter().filter(|&&a| a == axis).count() == 1;
        if self.rank != dims.len() || !(0..dims.len()).all(once) {
            let reason = format!("{axes:?} does not name each of {} axes once", dims.len());
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        let mut to = [1; MAX_RANK];
        for (to, &axis) in to.iter_mut().zip(axes) {
            *to = dims[axis];
        }
        outputs.push(Shape::new(&to[..self.rank])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let axes = &self.axes[..self.rank];
        copy(inputs[0].data(), inputs[0].shape(), axes, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let mut inverse = [0; MAX_RANK];
        for (i, &axis) in self.axes[..self.rank].iter().enumerate() {
            inverse[axis] = i;
        }
        copy(dy.data(), dy.shape(), &inverse[..self.rank], dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// `x` with its axes in another order: axis `i` of the result is axis `axes[i]` of `x`.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.variable([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let transposed = tape.permute(x, &[1, 0])?;
    /// assert_eq!(tape.value(transposed).data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if `axes` does not name every axis of `x` once, or if `x` is stale.
    pub fn permute(&mut self, x: Var, axes: &[usize]) -> Result<Var, Error> {
        let mut kept = [0; MAX_RANK];
        for (kept, &axis) in kept.iter_mut().zip(axes) {
            *kept = axis;
        }
        if axes.len() > MAX_RANK {
            let reason = format!("{} axes, a shape has at most {MAX_RANK}", axes.len());
            return Err(Error::invalid(NAME, reason));
        }
        self.record_single(Permute { axes: kept, rank: axes.len() }, &[x])
    }
}
