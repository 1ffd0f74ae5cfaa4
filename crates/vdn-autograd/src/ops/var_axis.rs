//! The variance over one axis.

use super::around;
use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::evaluate;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, mean_axis, sum_axis};
use vdn_tensor::{Element, MAX_RANK, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "var_axis";

struct VarAxis {
    axis: usize,
}

/// The squared distance from the mean, divided by the count. The division comes before the sum,
/// because a sum of squares may overflow where their mean does not.
struct Part {
    share: f64,
}
impl Formula<2, 1> for Part {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, mean]: [R; 2]) -> [R; 1] {
        let distance = x - mean;
        [distance * (distance * x.lit(self.share))]
    }
}

/// `d 2 (x - mean) / n`: the contribution of the mean vanishes, because distances sum to 0.
struct Pull {
    share: f64,
}
impl Formula<3, 1> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, mean, d]: [R; 3]) -> [R; 1] {
        [(x - mean) * d * x.lit(2.0 * self.share)]
    }
}

/// The shape with the axis kept, of size 1.
fn kept(shape: &Shape, axis: usize) -> Result<Shape, ShapeError> {
    let mut dims = [1; MAX_RANK];
    dims[..shape.rank()].copy_from_slice(shape.dims());
    dims[axis] = 1;
    Shape::new(&dims[..shape.rank()])
}

compiled_once!(VarAxis);
impl<T: Element> Definition<T> for VarAxis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        around(NAME, inputs[0], self.axis)?;
        outputs.push(inputs[0].without_axis(self.axis)?);
        // The means.
        outputs.push_workspace(kept(inputs[0], self.axis)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (x, [variance, mean]) = (inputs[0], outputs) else { return };
        let Some(around) = x.shape().around(self.axis) else { return };
        let count = x.shape().dims()[self.axis];
        if count == 0 {
            return [variance, mean]
                .into_iter()
                .for_each(|x| x.data_mut().fill(T::from_f64(f64::NAN)));
        }
        mean_axis(x.data(), around, mean.data_mut());
        with_scratch(x.data().len(), |parts: &mut [T]| {
            let mean = View::new(*mean.shape(), mean.data_mut()).expect("its own shape");
            let part = Part { share: 1.0 / count as f64 };
            evaluate(NAME, &part, x.shape(), [x, mean], parts);
            sum_axis(parts, around, variance.data_mut());
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(d), Some(dx), mean) = (d_outputs[0], &mut d_inputs[0], outputs[1]) else {
            return;
        };
        let x = inputs[0];
        let pull = Pull { share: 1.0 / x.shape().dims()[self.axis] as f64 };
        let d = View::new(*mean.shape(), d.data()).expect("as many numbers as means");
        evaluate(NAME, &pull, x.shape(), [x, mean, d], dx.data_mut());
    }
}

impl<T: Element> Tape<T> {
    /// The variance over `axis`, which is removed from the shape: the mean of the squared distances
    /// from the mean. It takes two passes, so that a large mean does not cancel digits. NaN if the
    /// axis has size 0. The unbiased estimate from `n` numbers is `n / (n - 1)` times this
    /// variance.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// let x = tape.variable([2, 4], &[0.0, 2.0, 0.0, 2.0, 1e6, 1e6 + 4.0, 1e6, 1e6 + 4.0])?;
    /// let variance = tape.var_axis(x, 1)?;
    /// assert_eq!(tape.value(variance).data(), [1.0, 4.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if there is no such axis, or if `x` is stale.
    pub fn var_axis(&mut self, x: Var, axis: usize) -> Result<Var, Error> {
        self.record_single(VarAxis { axis }, &[x])
    }
}
