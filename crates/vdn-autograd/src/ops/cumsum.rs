//! Cumulative sums along one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "cumsum";

/// The approximate size of a task, in numbers.
const TASK: usize = 16_384;

struct Cumsum {
    axis: usize,
}

/// Computes cumulative sums of the rows of `[outer, n, inner]`, forward from the first entry or
/// backward from the last. One task sums each row in order, so the number of threads cannot change
/// a bit.
fn running<T: Element>(x: &[T], (_, n, inner): (usize, usize, usize), back: bool, out: &mut [T]) {
    let row = n * inner;
    if row == 0 {
        return;
    }
    let rows = (TASK / row).max(1);
    for_each_chunk(out, rows * row, |task, out| {
        out.copy_from_slice(&x[task * rows * row..][..out.len()]);
        for out in out.chunks_exact_mut(row) {
            for k in 1..n {
                let at = if back { n - k } else { k };
                let (low, high) = out.split_at_mut(at * inner);
                let low = &mut low[(at - 1) * inner..];
                let (from, to) = if back { (&high[..inner], low) } else { (&*low, high) };
                for (to, &from) in to.iter_mut().zip(from) {
                    *to += from;
                }
            }
        }
    });
}

compiled_once!(Cumsum);
impl<T: Element> Definition<T> for Cumsum {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        around(NAME, inputs[0], self.axis)?;
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let Some(around) = inputs[0].shape().around(self.axis) else { return };
        running(inputs[0].data(), around, false, outputs[0].data_mut());
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
        running(dy.data(), around, true, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The cumulative sums along `axis`, each including its own entry. The shape stays.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.constant([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let along_rows = tape.cumsum(x, 1)?;
    /// assert_eq!(tape.value(along_rows).data(), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    /// let down = tape.cumsum(x, 0)?;
    /// assert_eq!(tape.value(down).data(), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn cumsum(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(Cumsum { axis }, &[x])
    }
}
