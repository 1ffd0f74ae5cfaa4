//! [`Op`]: a differentiable operation, with forward and backward pass together.
//!
//! The trait is public and unsealed. Your own operation is one type, recorded with
//! [`Tape::record`](crate::Tape::record). The example `custom_op` of this crate defines one from
//! start to end.

use std::any::Any;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

/// The largest number of inputs of one operation.
pub const MAX_INPUTS: usize = 16;
/// The largest number of outputs of one operation, workspace outputs included.
pub const MAX_OUTPUTS: usize = 12;

/// A differentiable operation with several inputs and several outputs.
///
/// The value of the operation holds its parameters (an axis, a scale); tensors are its inputs. The
/// tape keeps the value in a box, which the next recording reuses at the same position. Recording
/// in steady state therefore allocates nothing, unless the value itself owns memory.
pub trait Op<T: Element>: Send + 'static {
    /// Returns the name for error messages and reports, in snake case.
    fn name(&self) -> &'static str;

    /// Declares the shape of every output with [`Shapes::push`] (at least one). An output that only
    /// carries data from the forward to the backward pass is declared with
    /// [`Shapes::push_workspace`].
    ///
    /// # Errors
    /// Fails if the inputs do not fit; the error names the operation and all shapes.
    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError>;

    /// Computes all outputs. On entry they hold unspecified numbers; all of them have to be
    /// overwritten.
    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]);

    /// Computes the gradients of the inputs from the gradients of the outputs.
    ///
    /// `d_outputs[i]` is `None` if no gradient came from output `i` (always for workspace outputs);
    /// at least one is present. `d_inputs[i]` is `None` if input `i` requires no gradient. The
    /// other slices hold unspecified numbers and have to be overwritten entirely, never added to:
    /// the tape adds the contributions of all uses of a value, so the same variable may be an input
    /// twice. (Operations with [`Op::adds_gradients`] add instead.)
    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    );

    /// Returns whether [`Op::backward`] adds to `d_inputs` instead of overwriting them; false by
    /// default.
    ///
    /// This is for operations that read a small part of a large input, such as a slice.
    /// `d_inputs[i]` then holds the gradient that later uses of input `i` contributed, or zeros.
    /// The cost of the backward pass depends on the part, not on the whole input. If a variable is
    /// given twice, its second contribution has its own memory.
    fn adds_gradients(&self) -> bool {
        false
    }
}

/// The output shapes that an operation declares.
#[derive(Clone, Copy, Debug)]
pub struct Shapes {
    shapes: [Shape; MAX_OUTPUTS],
    workspace: u16,
    len: u8,
}

impl Shapes {
    pub(crate) fn new() -> Self {
        Self { shapes: [Shape::SCALAR; MAX_OUTPUTS], workspace: 0, len: 0 }
    }

    /// Declares the next output.
    ///
    /// # Panics
    /// Panics if there are more than [`MAX_OUTPUTS`] outputs.
    pub fn push(&mut self, shape: Shape) {
        let index = usize::from(self.len);
        assert!(index < MAX_OUTPUTS, "an operation has at most {MAX_OUTPUTS} outputs");
        self.shapes[index] = shape;
        self.len += 1;
    }

    /// Declares the next output as workspace, which takes no gradient: saved statistics, masks,
    /// numbers for reports.
    ///
    /// # Panics
    /// Panics if there are more than [`MAX_OUTPUTS`] outputs.
    pub fn push_workspace(&mut self, shape: Shape) {
        self.workspace |= 1 << self.len;
        self.push(shape);
    }

    /// Returns the shapes declared so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Shape] {
        &self.shapes[..usize::from(self.len)]
    }

    pub(crate) fn is_workspace(&self, index: usize) -> bool {
        self.workspace >> index & 1 == 1
    }
}

/// An operation of unknown type, from which the tape can recover the type.
pub(crate) trait ErasedOp<T: Element>: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn op(&self) -> &dyn Op<T>;
}

impl<T: Element, O: Op<T>> ErasedOp<T> for O {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn op(&self) -> &dyn Op<T> {
        self
    }
}
