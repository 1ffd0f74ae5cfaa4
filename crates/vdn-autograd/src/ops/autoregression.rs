//! An autoregression of order 1 along the rows of a matrix, computed from its innovations.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "autoregression";

struct Autoregression {
    correlation: f64,
}

impl Autoregression {
    /// Returns the factor of the previous row and the factor of the innovation.
    fn factors<T: Element>(&self) -> [T; 2] {
        let rest = (1.0 - self.correlation) * (1.0 + self.correlation);
        [self.correlation, rest.sqrt()].map(T::from_f64)
    }
}

compiled_once!(Autoregression);
impl<T: Element> Definition<T> for Autoregression {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs[0].rank() != 2 || inputs[0].numel() == 0 {
            return Err(ShapeError::new(NAME, inputs, "needs the shape [steps, channels]"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let channels = inputs[0].shape().last();
        let [before, innovation] = self.factors::<T>();
        let (x, y) = (inputs[0].data(), outputs[0].data_mut());
        y[..channels].copy_from_slice(&x[..channels]);
        for first in (channels..x.len()).step_by(channels) {
            let (done, rest) = y.split_at_mut(first);
            let (last, x) = (&done[first - channels..], &x[first..][..channels]);
            for ((y, last), x) in rest[..channels].iter_mut().zip(last).zip(x) {
                *y = before * *last + innovation * *x;
            }
        }
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let channels = inputs[0].shape().last();
        let [before, innovation] = self.factors::<T>();
        let dx = dx.data_mut();
        dx.copy_from_slice(dy.data());
        // The loop runs from the last row up. When it reaches a row, that row holds the slope of
        // its own output and of all later outputs that depend on it.
        for first in (channels..dx.len()).step_by(channels).rev() {
            let (rows, own) = dx.split_at_mut(first);
            let last = &mut rows[first - channels..];
            for (last, own) in last.iter_mut().zip(&mut own[..channels]) {
                *last += before * *own;
                *own = innovation * *own;
            }
        }
    }
}

impl<T: Element> Tape<T> {
    /// The autoregression `y_1 = x_1`, `y_h = c y_{h-1} + sqrt(1 - c^2) x_h` along the rows of `x`
    /// `[steps, channels]`, where `c` is the `correlation`.
    ///
    /// If the entries of `x` are independent with equal variance, `y` has this variance in every
    /// row, and rows that are `k` apart have the correlation `c^k`. The map from `x` to `y` is one
    /// to one.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.constant([3, 1], &[1.0, 2.0, 0.0])?;
    /// let y = tape.autoregression(x, 0.6)?;
    /// for (y, want) in tape.value(y).data().iter().zip([1.0, 0.6 + 0.8 * 2.0, 0.6 * 2.2]) {
    ///     assert!((y - want).abs() < 1e-15);
    /// }
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the correlation is not in (-1, 1), if `x` does not have the shape
    /// `[steps, channels]` or has no elements, or if `x` is stale.
    pub fn autoregression(&mut self, x: Var, correlation: f64) -> Result<Var, Error> {
        if !(-1.0 < correlation && correlation < 1.0) {
            let reason = format!("a correlation of {correlation}: it has to be in (-1, 1)");
            return Err(Error::invalid(NAME, reason));
        }
        self.record_single(Autoregression { correlation }, &[x])
    }
}
