//! Selection between two values by a mask, element by element.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{declare, evaluate, pull};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "where_mask";

struct WhereMask;

struct Choose;
impl Formula<3, 1> for Choose {
    #[inline(always)]
    fn apply<R: Real>(&self, [mask, yes, no]: [R; 3]) -> [R; 1] {
        let chosen = R::select(mask.lit(0.0).lt(mask.abs()), yes, no);
        // A mask of NaN selects neither value: the result is NaN.
        [R::select(mask.le(mask), chosen, mask)]
    }
}

/// The gradient where the mask selected this side, 0 elsewhere.
struct Side {
    yes: bool,
}
impl Formula<2, 1> for Side {
    #[inline(always)]
    fn apply<R: Real>(&self, [mask, d]: [R; 2]) -> [R; 1] {
        let (chosen, zero) = (mask.lit(0.0).lt(mask.abs()), mask.lit(0.0));
        let [yes, no] = if self.yes { [d, zero] } else { [zero, d] };
        [R::select(chosen, yes, no)]
    }
}

compiled_once!(WhereMask);
impl<T: Element> Definition<T> for WhereMask {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        declare(NAME, inputs, 3, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let &[mask, yes, no] = inputs else { return };
        let shape = *outputs[0].shape();
        evaluate(NAME, &Choose, &shape, [mask, yes, no], outputs[0].data_mut());
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(d), [d_mask, d_yes, d_no]) = (d_outputs[0], d_inputs) else { return };
        if let Some(d_mask) = d_mask {
            d_mask.data_mut().fill(T::ZERO);
        }
        for (side, yes) in [(d_yes, true), (d_no, false)] {
            if let Some(side) = side {
                pull(NAME, &Side { yes }, d.shape(), [inputs[0], d], side);
            }
        }
    }
}

impl<T: Element> Tape<T> {
    /// The value `yes` where `mask` is not 0 and `no` where it is 0, element by element. All shapes
    /// broadcast. The side that was not selected gets a gradient of 0, even if its value is
    /// infinite or NaN. The mask itself has a gradient of 0.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let mask = tape.constant([3], &[1.0, 0.0, 1.0])?;
    /// let x = tape.variable([3], &[1.0, f64::NAN, 3.0])?;
    /// let zero = tape.constant([], &[0.0])?;
    /// let known = tape.where_mask(mask, x, zero)?;
    /// let sum = tape.sum(known)?;
    /// assert_eq!(tape.scalar(sum)?, 4.0);
    /// tape.backward(sum)?;
    /// assert_eq!(tape.gradient(x).unwrap().data(), [1.0, 0.0, 1.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn where_mask(&mut self, mask: Var, yes: Var, no: Var) -> Result<Var, Error> {
        self.record_single(WhereMask, &[mask, yes, no])
    }
}
