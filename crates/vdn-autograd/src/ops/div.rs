//! The quotient of broadcasting tensors: `a / b`.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting;
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "div";

struct Div;

struct Quotient;
impl Formula<2, 1> for Quotient {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [a / b]
    }
}

/// `d(a / b) / db = -(a / b) / b`.
struct DenominatorPull;
impl Formula<3, 1> for DenominatorPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [dy, y, b]: [R; 3]) -> [R; 1] {
        [-(dy * y / b)]
    }
}

compiled_once!(Div);
impl<T: Element> Definition<T> for Div {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        broadcasting::declare(NAME, inputs, 2, outputs)
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let shape = *outputs[0].shape();
        broadcasting::evaluate(
            NAME,
            &Quotient,
            &shape,
            [inputs[0], inputs[1]],
            outputs[0].data_mut(),
        );
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dy) = d_outputs[0] else { return };
        let [d_numerator, d_denominator] = d_inputs else { return };
        if let Some(da) = d_numerator {
            broadcasting::pull(NAME, &Quotient, dy.shape(), [dy, inputs[1]], da);
        }
        if let Some(db) = d_denominator {
            broadcasting::pull(NAME, &DenominatorPull, dy.shape(), [dy, outputs[0], inputs[1]], db);
        }
    }
}

impl<T: Element> Tape<T> {
    /// `a / b`, element by element; the shapes broadcast.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or if a variable is stale.
    pub fn div(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record_single(Div, &[a, b])
    }
}
