//! [`Unary`]: the operation behind all functions of one number. A function is defined by its value
//! and its slope.

use crate::compiled_once::Definition;
use crate::op::{Op, Shapes};
use vdn_tensor::kernels::{self, Formula};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

/// The arguments from which a slope is computed. An argument that is not read costs no memory
/// traffic in the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlopeReads {
    /// Neither argument: the slope is constant.
    Nothing,
    /// The input alone.
    Input,
    /// The output alone.
    Output,
    /// Both arguments.
    Both,
}

/// A differentiable function of one number, applied to every element.
///
/// ```
/// use vdn_autograd::{SlopeReads, Tape, Unary, UnaryFormula};
/// use vdn_tensor::Real;
///
/// struct Reciprocal;
/// impl UnaryFormula for Reciprocal {
///     const NAME: &'static str = "reciprocal";
///     const READS: SlopeReads = SlopeReads::Output;
///     #[inline(always)]
///     fn value<R: Real>(&self, x: R) -> R {
///         x.lit(1.0) / x
///     }
///     #[inline(always)]
///     fn slope<R: Real>(&self, _x: R, y: R) -> R {
///         -(y * y)
///     }
/// }
///
/// let mut tape = Tape::<f64>::new();
/// let x = tape.variable([1], &[4.0])?;
/// let y = tape.record_single(Unary(Reciprocal), &[x])?;
/// tape.backward(y)?;
/// assert_eq!(tape.scalar(y)?, 0.25);
/// assert_eq!(tape.gradient(x).and_then(|g| g.item()), Some(-0.0625));
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
pub trait UnaryFormula: Send + Sync + 'static {
    /// The name in error messages and reports.
    const NAME: &'static str;
    /// The arguments that [`UnaryFormula::slope`] reads. An argument that is not declared here
    /// holds unspecified numbers.
    const READS: SlopeReads;
    /// Returns the value at `x`. Implementations are marked `#[inline(always)]`.
    fn value<R: Real>(&self, x: R) -> R;
    /// Returns the derivative at `x`, where the function has the value `y`. Implementations are
    /// marked `#[inline(always)]`.
    fn slope<R: Real>(&self, x: R, y: R) -> R;
}

/// The operation that applies a [`UnaryFormula`] to every element.
#[derive(Clone, Copy, Debug)]
pub struct Unary<F>(pub F);

impl<T: Element, F: UnaryFormula> Op<T> for Unary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        Definition::<T>::output_shapes(&self.0, inputs, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        Definition::forward(&self.0, inputs, outputs);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        Definition::backward(&self.0, inputs, outputs, d_outputs, d_inputs);
    }
}

impl<T: Element, F: UnaryFormula> Definition<T> for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &[x] = inputs else {
            return Err(ShapeError::new(F::NAME, inputs, "needs one input"));
        };
        outputs.push(*x);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        kernels::map(&Value(self), [inputs[0].data()], [outputs[0].data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let (x, y, dy, dx) = (inputs[0].data(), outputs[0].data(), dy.data(), dx.data_mut());
        let f = self;
        match F::READS {
            SlopeReads::Nothing => kernels::map(&Constant(f), [dy], [dx]),
            SlopeReads::Input => kernels::map(&OfOne(f), [x, dy], [dx]),
            SlopeReads::Output => kernels::map(&OfOne(f), [y, dy], [dx]),
            SlopeReads::Both => kernels::map(&OfBoth(f), [x, y, dy], [dx]),
        }
    }
}

struct Value<'a, F>(&'a F);
impl<F: UnaryFormula> Formula<1, 1> for Value<'_, F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [x]: [R; 1]) -> [R; 1] {
        [self.0.value(x)]
    }
}

struct Constant<'a, F>(&'a F);
impl<F: UnaryFormula> Formula<1, 1> for Constant<'_, F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy]: [R; 1]) -> [R; 1] {
        [dy * self.0.slope(dy, dy)]
    }
}

/// The slope computed from the input alone or from the output alone, whichever is given.
struct OfOne<'a, F>(&'a F);
impl<F: UnaryFormula> Formula<2, 1> for OfOne<'_, F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [known, dy]: [R; 2]) -> [R; 1] {
        [dy * self.0.slope(known, known)]
    }
}

struct OfBoth<'a, F>(&'a F);
impl<F: UnaryFormula> Formula<3, 1> for OfBoth<'_, F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, y, dy]: [R; 3]) -> [R; 1] {
        [dy * self.0.slope(x, y)]
    }
}
