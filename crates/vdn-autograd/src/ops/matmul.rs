//! The product of two matrices. Each may be transposed.

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
    /// Returns `[m, n, k]` of the product.
    fn dims(&self, a: &Shape, b: &Shape) -> Option<[usize; 3]> {
        let (&[rows_a, columns_a], &[rows_b, columns_b]) = (a.dims(), b.dims()) else {
            return None;
        };
        product_dims([rows_a, columns_a, rows_b, columns_b], [self.transpose_a, self.transpose_b])
    }

    fn operands<'a, T>(&self, a: &'a [T], b: &'a [T]) -> [Operand<'a, T>; 2] {
        let a = Operand { data: a, transposed: self.transpose_a };
        [a, Operand { data: b, transposed: self.transpose_b }]
    }
}

/// Returns `[m, n, k]` of a product, from the stored rows and columns of its factors.
pub(super) fn product_dims(
    [rows_a, columns_a, rows_b, columns_b]: [usize; 4],
    [transpose_a, transpose_b]: [bool; 2],
) -> Option<[usize; 3]> {
    let (m, k) = if transpose_a { (columns_a, rows_a) } else { (rows_a, columns_a) };
    let (inner, n) = if transpose_b { (columns_b, rows_b) } else { (rows_b, columns_b) };
    (inner == k).then_some([m, n, k])
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
        let [a, b] = self.operands(a.data(), b.data());
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
        let Some(dims) = self.dims(a.shape(), b.shape()) else { return };
        let (Some(dc), [da, db]) = (d_outputs[0], d_inputs) else { return };
        let [a, b] = self.operands(a.data(), b.data());
        if let Some(da) = da {
            left_gradient(dims, a.transposed, b, dc.data(), da.data_mut());
        }
        if let Some(db) = db {
            right_gradient(dims, a, b.transposed, dc.data(), db.data_mut());
        }
    }
}

/// Computes the gradient of the left factor of `C = A' B'`: `dA' = dC B'^T`, transposed if `A` is
/// stored transposed.
pub(super) fn left_gradient<T: Element>(
    [m, n, k]: [usize; 3],
    transposed: bool,
    b: Operand<'_, T>,
    dc: &[T],
    da: &mut [T],
) {
    let dc = Operand { data: dc, transposed };
    if transposed {
        matmul(k, m, n, b, dc, da, Epilogue::None);
    } else {
        let b = Operand { transposed: !b.transposed, ..b };
        matmul(m, k, n, dc, b, da, Epilogue::None);
    }
}

/// Computes the gradient of the right factor: `dB' = A'^T dC`, transposed if `B` is stored
/// transposed.
pub(super) fn right_gradient<T: Element>(
    [m, n, k]: [usize; 3],
    a: Operand<'_, T>,
    transposed: bool,
    dc: &[T],
    db: &mut [T],
) {
    let dc = Operand { data: dc, transposed };
    if transposed {
        matmul(n, k, m, dc, a, db, Epilogue::None);
    } else {
        let a = Operand { transposed: !a.transposed, ..a };
        matmul(k, n, m, a, dc, db, Epilogue::None);
    }
}

impl<T: Element> Tape<T> {
    /// The product of two matrices: `a` `[m, k]` (or `[k, m]` if transposed) and `b` `[k, n]` (or
    /// `[n, k]`).
    ///
    /// # Errors
    /// Fails if the shapes are not two matrices that fit, or a variable is stale.
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
