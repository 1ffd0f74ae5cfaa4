//! The products of two lists of matrices, pair by pair. Each factor may be transposed.

use super::matmul::{left_gradient, product_dims, right_gradient};
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, MAX_RANK, Shape, ShapeError, View, ViewMut};

const NAME: &str = "batch_matmul";

struct BatchMatMul {
    transpose_a: bool,
    transpose_b: bool,
}

impl BatchMatMul {
    /// Returns `[m, n, k]` of every product.
    fn dims(&self, a: &Shape, b: &Shape) -> Option<[usize; 3]> {
        let (&[ref lead_a @ .., rows_a, columns_a], &[ref lead_b @ .., rows_b, columns_b]) =
            (a.dims(), b.dims())
        else {
            return None;
        };
        let stored = [rows_a, columns_a, rows_b, columns_b];
        let dims = product_dims(stored, [self.transpose_a, self.transpose_b]);
        dims.filter(|_| lead_a == lead_b)
    }

    /// Returns the factors of pair `index`.
    fn pair<'a, T>(
        &self,
        [m, n, k]: [usize; 3],
        [a, b]: [&'a [T]; 2],
        index: usize,
    ) -> [Operand<'a, T>; 2] {
        let a = Operand { data: &a[index * m * k..][..m * k], transposed: self.transpose_a };
        [a, Operand { data: &b[index * k * n..][..k * n], transposed: self.transpose_b }]
    }
}

/// Runs `work` on every matrix of `to`, each of `len` numbers.
fn each<T: Send>(to: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync + Send) {
    if len > 0 {
        for_each_chunk(to, len, work);
    }
}

compiled_once!(BatchMatMul);
impl<T: Element> Definition<T> for BatchMatMul {
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
            let reason = format!("not as many matrices that fit (transposed: {a}, {b})");
            return Err(ShapeError::new(NAME, inputs, reason));
        };
        let (mut shape, lead) = ([1; MAX_RANK], inputs[0].rank() - 2);
        shape[..lead].copy_from_slice(&inputs[0].dims()[..lead]);
        shape[lead..lead + 2].copy_from_slice(&[m, n]);
        outputs.push(Shape::new(&shape[..lead + 2])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (a, b) = (inputs[0], inputs[1]);
        let Some(dims @ [m, n, k]) = self.dims(a.shape(), b.shape()) else { return };
        let data = [a.data(), b.data()];
        each(outputs[0].data_mut(), m * n, |index, c| {
            let [a, b] = self.pair(dims, data, index);
            matmul(m, n, k, a, b, c, Epilogue::None);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (a, b) = (inputs[0], inputs[1]);
        let Some(dims @ [m, n, k]) = self.dims(a.shape(), b.shape()) else { return };
        let (Some(dc), [da, db]) = (d_outputs[0], d_inputs) else { return };
        let (data, dc) = ([a.data(), b.data()], dc.data());
        let d_product = |index: usize| &dc[index * m * n..][..m * n];
        if let Some(da) = da {
            each(da.data_mut(), m * k, |index, da| {
                let [a, b] = self.pair(dims, data, index);
                left_gradient(dims, a.transposed, b, d_product(index), da);
            });
        }
        if let Some(db) = db {
            each(db.data_mut(), k * n, |index, db| {
                let [a, b] = self.pair(dims, data, index);
                right_gradient(dims, a, b.transposed, d_product(index), db);
            });
        }
    }
}

impl<T: Element> Tape<T> {
    /// The products of matrices, pair by pair: `a` `[..., m, k]` (or `[..., k, m]` if transposed)
    /// and `b` `[..., k, n]` (or `[..., n, k]`) give `[..., m, n]`. Both have the same leading
    /// axes. For instance, the scores of attention are queries `[batch, heads, steps, width]` times
    /// transposed keys of the same shape.
    ///
    /// If all pairs have the same right factor, [`Tape::affine`] or a [`Tape::matmul`] of the
    /// joined rows is faster.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// let a = tape.variable([2, 1, 2], &[1.0, 2.0, 3.0, 4.0])?;
    /// let b = tape.variable([2, 1, 2], &[5.0, 6.0, 7.0, 8.0])?;
    /// let c = tape.batch_matmul(a, b, false, true)?; // [2, 1, 1]
    /// assert_eq!(tape.value(c).data(), [17.0, 53.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the factors are not matrices, do not fit, or differ in their leading axes, or if a
    /// variable is stale.
    pub fn batch_matmul(
        &mut self,
        a: Var,
        b: Var,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Var, Error> {
        self.record_single(BatchMatMul { transpose_a, transpose_b }, &[a, b])
    }
}
