//! The linear layer: `y = x W^T + b`.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{self, Epilogue, Operand, matmul};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "affine";

/// The inputs are `x`, the weight and, optionally, the bias.
struct Affine;

compiled_once!(Affine);
impl<T: Element> Definition<T> for Affine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let (x, weight) = (inputs[0], inputs[1]);
        let &[out, columns] = weight.dims() else {
            return Err(ShapeError::new(NAME, inputs, "the weight needs the shape [out, in]"));
        };
        if x.rank() == 0 || x.last() != columns {
            let reason = format!("the input needs {columns} columns, as the weight has");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        if inputs.get(2).is_some_and(|bias| bias.dims() != [out]) {
            return Err(ShapeError::new(NAME, inputs, format!("the bias needs the shape [{out}]")));
        }
        outputs.push(x.with_last(out)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (x, weight) = (inputs[0], inputs[1]);
        let [rows, out, columns] = dims(&x, &weight);
        let epilogue = inputs.get(2).map_or(Epilogue::None, |bias| Epilogue::Bias(bias.data()));
        let x = Operand { data: x.data(), transposed: false };
        let weight = Operand { data: weight.data(), transposed: true };
        matmul(rows, out, columns, x, weight, outputs[0].data_mut(), epilogue);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (x, weight) = (inputs[0], inputs[1]);
        let [rows, out, columns] = dims(&x, &weight);
        let Some(dy) = d_outputs[0] else { return };
        let operand = |data, transposed| Operand { data, transposed };
        let (x, weight, dy) = (x.data(), weight.data(), dy.data());
        if let Some(dx) = &mut d_inputs[0] {
            let dx = dx.data_mut();
            matmul(
                rows,
                columns,
                out,
                operand(dy, false),
                operand(weight, false),
                dx,
                Epilogue::None,
            );
        }
        if let Some(d_weight) = &mut d_inputs[1] {
            let d_weight = d_weight.data_mut();
            matmul(
                out,
                columns,
                rows,
                operand(dy, true),
                operand(x, false),
                d_weight,
                Epilogue::None,
            );
        }
        if let Some(Some(d_bias)) = d_inputs.get_mut(2) {
            kernels::sum_axis(dy, (1, rows, out), d_bias.data_mut());
        }
    }
}

/// Returns the number of rows of `x`, of outputs and of inputs.
fn dims<T: Element>(x: &View<'_, T>, weight: &View<'_, T>) -> [usize; 3] {
    [x.shape().rows(), weight.shape().rows(), weight.shape().last()]
}

impl<T: Element> Tape<T> {
    /// The linear layer `x W^T + b`. `x` is `[..., in]` (all leading axes are batch axes), `weight`
    /// is `[out, in]`, and `bias` is `[out]`. The result is `[..., out]`.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// let x = tape.constant([1, 2], &[1.0, 2.0])?;
    /// let weight = tape.variable([3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
    /// let bias = tape.variable([3], &[0.0, 0.0, 10.0])?;
    /// let y = tape.affine(x, weight, Some(bias))?;
    /// assert_eq!(tape.value(y).data(), &[1.0, 2.0, 13.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, or if a variable is stale.
    pub fn affine(&mut self, x: Var, weight: Var, bias: Option<Var>) -> Result<Var, Error> {
        match bias {
            Some(bias) => self.record_single(Affine, &[x, weight, bias]),
            None => self.record_single(Affine, &[x, weight]),
        }
    }
}
