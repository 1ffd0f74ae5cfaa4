//! [`compiled_once!`]: compiles the built-in operations in this crate, once for each type of
//! number.
//!
//! [`Op`](crate::Op) is generic over the type of number, and kernels are compiled for every SIMD
//! level. If they stayed generic, every crate that has a tape would compile all of them again. A
//! built-in operation is therefore written as a [`Definition`]. The macro turns it into an
//! [`Op`](crate::Op) whose passes end in two concrete functions.

use crate::op::Shapes;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

/// A built-in operation: the methods of [`Op`](crate::Op), with the same contracts.
pub(crate) trait Definition<T: Element>: Send + 'static {
    fn name(&self) -> &'static str;
    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError>;
    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]);
    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    );
    fn adds_gradients(&self) -> bool {
        false
    }
}

/// The slices that a forward pass reads and writes.
pub(crate) type Forward<'a, 'v, T> = (&'a [View<'a, T>], &'a mut [ViewMut<'v, T>]);
/// The slices that a backward pass reads and writes.
pub(crate) type Backward<'a, 'v, T> = (
    &'a [View<'a, T>],
    &'a [View<'a, T>],
    &'a [Option<View<'a, T>>],
    &'a mut [Option<ViewMut<'v, T>>],
);

/// Makes an operation from a [`Definition`].
macro_rules! compiled_once {
    ($op:ty) => {
        const _: () = {
            use crate::compiled_once::{Backward, Definition, Forward};
            use vdn_tensor::{ByElement, Element, Shape, ShapeError, View, ViewMut};

            struct ForwardOf<'a, 'v>(&'a $op, std::marker::PhantomData<&'a &'v ()>);
            impl<'a, 'v> ByElement for ForwardOf<'a, 'v> {
                type Args<T: Element> = Forward<'a, 'v, T>;
                type Output = ();
                #[inline(never)]
                fn single(self, (inputs, outputs): Forward<'a, 'v, f32>) {
                    Definition::forward(self.0, inputs, outputs);
                }
                #[inline(never)]
                fn double(self, (inputs, outputs): Forward<'a, 'v, f64>) {
                    Definition::forward(self.0, inputs, outputs);
                }
            }

            struct BackwardOf<'a, 'v>(&'a $op, std::marker::PhantomData<&'a &'v ()>);
            impl<'a, 'v> ByElement for BackwardOf<'a, 'v> {
                type Args<T: Element> = Backward<'a, 'v, T>;
                type Output = ();
                #[inline(never)]
                fn single(self, (inputs, outputs, d_outputs, d_inputs): Backward<'a, 'v, f32>) {
                    Definition::backward(self.0, inputs, outputs, d_outputs, d_inputs);
                }
                #[inline(never)]
                fn double(self, (inputs, outputs, d_outputs, d_inputs): Backward<'a, 'v, f64>) {
                    Definition::backward(self.0, inputs, outputs, d_outputs, d_inputs);
                }
            }

            impl<T: Element> crate::op::Op<T> for $op {
                fn name(&self) -> &'static str {
                    Definition::<T>::name(self)
                }
                fn output_shapes(
                    &self,
                    inputs: &[&Shape],
                    outputs: &mut crate::op::Shapes,
                ) -> Result<(), ShapeError> {
                    Definition::<T>::output_shapes(self, inputs, outputs)
                }
                fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
                    T::run(ForwardOf(self, std::marker::PhantomData), (inputs, outputs));
                }
                fn backward(
                    &self,
                    inputs: &[View<'_, T>],
                    outputs: &[View<'_, T>],
                    d_outputs: &[Option<View<'_, T>>],
                    d_inputs: &mut [Option<ViewMut<'_, T>>],
                ) {
                    let work = BackwardOf(self, std::marker::PhantomData);
                    T::run(work, (inputs, outputs, d_outputs, d_inputs));
                }
                fn adds_gradients(&self) -> bool {
                    Definition::<T>::adds_gradients(self)
                }
            }
        };
    };
}
pub(crate) use compiled_once;
