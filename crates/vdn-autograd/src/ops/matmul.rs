//! The product of two matrices, each possibly transposed.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "matmul";

struct MatMul {
    transpose_a: bool,
    transpose_b: bool,
}

impl MatMul {
    /// `[m, n, k]` of the product.
    fn dims(&self, a: &Shape, b: &Shape) -> Option<[usize; 3]> {
        let (&[rows_a, columns_a], &[rows_b, columns_b]) = (a.dims(), b.dims()) else {
            return None;
        };
        let (m, k) = if self.transpose_a { (columns_a, rows_a) } else { (rows_a, columns_a) };
        let (inner, n) = if self.transpose_b { (columns_b, rows_b) } else { (rows_b, columns_b) };
        (inner == k).then_some([m, n, k])
    }
}

compiled_once!(MatMul);
impl<T: Element> Definition<T> for MatMul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let dims = match inputs {
            [a, b] => self.dims(a, b),
            _ => None,
        };
        let Some([m, n, _]) = dims else {
            let (a, b) = (self.transpose_a, self.transpose_b);
            let reason = format!("not two matrices that fit (transposed: {a}, {b})");
            return Err(ShapeError::new(NAME, inputs, reason));
        };
        outputs.push(Shape::new(&[m, n])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (a, b) = (inputs[0], inputs[1]);
        let Some([m, n, k]) = self.dims(a.shape(), b.shape()) else { return };
        let a = Operand { data: a.data(), transposed: self.transpose_a };
        let b = Operand { data: b.data(), transposed: self.transpose_b };
        matmul(m, n, k, a, b, outputs[0].data_mut(), Epilogue::None);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (a, b) = (inputs[0], inputs[1]);
        let Some([m, n, k]) = self.dims(a.shape(), b.shape()) else { return };
        let (Some(dc), [da, db]) = (d_outputs[0], d_inputs) else { return };
        let operand = |data, transposed| Operand { data, transposed };
        let (a, b, dc) = (a.data(), b.data(), dc.data());
        // With A' and B' the matrices as they enter: dA' = dC B'^T, dB' = A'^T dC, each transposed where stored so.
        if let Some(da) = da {
            let da = da.data_mut();
            if self.transpose_a {
                matmul(
                    k,
                    m,
                    n,
                    operand(b, self.transpose_b),
                    operand(dc, true),
                    da,
                    Epilogue::None,
                );
            } else {
                matmul(
                    m,
                    k,
                    n,
                    operand(dc, false),
                    operand(b, !self.transpose_b),
                    da,
                    Epilogue::None,
                );
            }
        }
        if let Some(db) = db {
            let db = db.data_mut();
            if self.transpose_b {
                matmul(
                    n,
                    k,
                    m,
                    operand(dc, true),
                    operand(a, self.transpose_a),
                    db,
                    Epilogue::None,
                );
            } else {
                matmul(
                    k,
                    n,
                    m,
                    operand(a, !self.transpose_a),
                    operand(dc, false),
                    db,
                    Epilogue::None,
                );
            }
        }
    }
}

impl<T: Element> Tape<T> {
    /// The product of two matrices: `a` `[m, k]` (or `[k, m]` when transposed) and `b` `[k, n]` (or `[n, k]`).
    ///
    /// # Errors
    /// The shapes are not two matrices that fit; a variable is stale.
    pub fn matmul(
        &mut self,
        a: Var,
        b: Var,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Var, Error> {
        self.record_single(MatMul { transpose_a, transpose_b }, &[a, b])
    }
}
