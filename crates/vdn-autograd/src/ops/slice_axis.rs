//! Slices of one axis. A slice adds its gradient to the gradient of its source, so cutting a
//! sequence into all its steps costs one pass over the sequence in either direction.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels;
use vdn_tensor::{Element, MAX_RANK, Shape, ShapeError, View, ViewMut};

const NAME: &str = "slice_axis";

struct SliceAxis {
    axis: usize,
    start: usize,
    len: usize,
}

compiled_once!(SliceAxis);
impl<T: Element> Definition<T> for SliceAxis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &Self { axis, start, len } = self;
        let (_, size, _) = around(NAME, inputs[0], axis)?;
        if start.checked_add(len).is_none_or(|end| end > size) {
            let reason = format!("{len} from {start} on do not lie in axis {axis} of size {size}");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        let mut dims = [1; MAX_RANK];
        let dims = &mut dims[..inputs[0].rank()];
        dims.copy_from_slice(inputs[0].dims());
        dims[axis] = len;
        outputs.push(Shape::new(dims)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::slice_axis(inputs[0].data(), around, self.start, self.len, outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        kernels::slice_axis_add(dy.data(), around, self.start, self.len, dx.data_mut());
    }

    fn adds_gradients(&self) -> bool {
        true
    }
}

impl<T: Element> Tape<T> {
    /// The `len` entries of `axis` from `start` on.
    ///
    /// # Errors
    /// Fails if there is no such axis, or the range does not lie in it, or if `x` is stale.
    pub fn slice_axis(
        &mut self,
        x: Var,
        axis: usize,
        start: usize,
        len: usize,
    ) -> Result<Var, Error> {
        self.record_single(SliceAxis { axis, start, len }, &[x])
    }

    /// Entry `index` of `axis`; the axis is removed. For axis 1, `[batch, time, channels]` becomes
    /// `[batch, channels]`.
    ///
    /// # Errors
    /// Fails if there is no such axis, or no such entry, or if `x` is stale.
    pub fn select(&mut self, x: Var, axis: usize, index: usize) -> Result<Var, Error> {
        let part = self.slice_axis(x, axis, index, 1)?;
        let shape = self.shape(part).without_axis(axis)?;
        self.reshape(part, shape)
    }

    /// Cuts `x` along `axis` into parts of these sizes, which have to add up to the size of the
    /// axis.
    ///
    /// The vector is newly allocated. [`Tape::slice_axis`] returns one part and allocates nothing
    /// in steady state.
    ///
    /// # Errors
    /// Fails if there is no such axis, or the sizes do not add up, or if `x` is stale.
    pub fn split(&mut self, x: Var, axis: usize, sizes: &[usize]) -> Result<Vec<Var>, Error> {
        const NAME: &str = "split";
        self.check(NAME, &[x])?;
        let shape = *self.shape(x);
        let (_, size, _) = around(NAME, &shape, axis)?;
        let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
        if total != Some(size) {
            let reason = format!("parts of {sizes:?} do not add up to axis {axis} of size {size}");
            return Err(ShapeError::new(NAME, &[&shape], reason).into());
        }
        let mut start = 0;
        let cut = |&len: &usize| {
            start += len;
            self.slice_axis(x, axis, start - len, len)
        };
        sizes.iter().map(cut).collect()
    }

    /// All entries of `axis`, for instance the steps of a sequence; the axis is removed.
    ///
    /// The vector is newly allocated. [`Tape::select`] returns one entry and allocates nothing in
    /// steady state.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let sequence = tape.variable([1, 3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let steps = tape.unbind(sequence, 1)?;
    /// assert_eq!(steps.len(), 3);
    /// assert_eq!(tape.shape(steps[2]).dims(), [1, 2]);
    /// assert_eq!(tape.value(steps[2]).data(), [5.0, 6.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn unbind(&mut self, x: Var, axis: usize) -> Result<Vec<Var>, Error> {
        const NAME: &str = "unbind";
        self.check(NAME, &[x])?;
        let (_, size, _) = around(NAME, self.shape(x), axis)?;
        (0..size).map(|index| self.select(x, axis, index)).collect()
    }
}
