//! Pooling of the `K` values of a unit into one activity.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{self, Pool};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "pool";

struct PoolOp {
    k: usize,
    pool: Pool,
}

compiled_once!(PoolOp);
impl<T: Element> Definition<T> for PoolOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let (x, k) = (inputs[0], self.k);
        if k == 0 || x.rank() == 0 || !x.last().is_multiple_of(k) {
            let reason = format!("the last dimension is not a number of units times k = {k}");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        outputs.push(x.with_last(x.last() / k)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        kernels::pool(inputs[0].data(), self.k, self.pool, outputs[0].data_mut());
    }

    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        kernels::pool_backward(dy.data(), self.k, self.pool, dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// Pools `x`, `[..., units * k]` with the `k` values of each unit next to each other, to
    /// `[..., units]`.
    ///
    /// # Errors
    /// Fails if the last dimension is no multiple of `k`, or `k` is 0, or if `x` is stale.
    pub fn pool(&mut self, x: Var, k: usize, pool: Pool) -> Result<Var, Error> {
        self.record_single(PoolOp { k, pool }, &[x])
    }
}
