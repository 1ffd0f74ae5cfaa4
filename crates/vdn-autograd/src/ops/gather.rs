//! Rows of a table by their indices: the operation of an embedding. One thread adds gradients to
//! rows in the order of the indices, so a row that occurs twice has the same bits every time.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::parallel::for_each_chunk;
use vdn_tensor::{Element, MAX_RANK, Shape, ShapeError, View, ViewMut};

const NAME: &str = "gather";

/// The approximate size of a task, in numbers.
const TASK: usize = 16_384;

struct Gather;

compiled_once!(Gather);
impl<T: Element> Definition<T> for Gather {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let (table, indices) = (inputs[0].dims(), inputs[1].dims());
        let Some((_, row)) = table.split_first() else {
            return Err(ShapeError::new(NAME, inputs, "the table needs rows"));
        };
        let rank = indices.len() + row.len();
        if rank > MAX_RANK {
            let reason = format!("the result would have {rank} dimensions, more than {MAX_RANK}");
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        let mut dims = [1; MAX_RANK];
        dims[..indices.len()].copy_from_slice(indices);
        dims[indices.len()..rank].copy_from_slice(row);
        outputs.push(Shape::new(&dims[..rank])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (table, indices) = (inputs[0], inputs[1].data());
        let width: usize = table.shape().dims()[1..].iter().product();
        if width == 0 {
            return;
        }
        let rows = (TASK / width).max(1);
        for_each_chunk(outputs[0].data_mut(), rows * width, |task, out| {
            let indices = &indices[task * rows..];
            for (to, index) in out.chunks_exact_mut(width).zip(indices) {
                let from = index.to_f64() as usize * width;
                to.copy_from_slice(&table.data()[from..from + width]);
            }
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        // The indices have no gradient, so their slice stays as it is.
        let (Some(dy), Some(d_table)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let width: usize = d_table.shape().dims()[1..].iter().product();
        if width == 0 {
            return;
        }
        for (d, index) in dy.data().chunks_exact(width).zip(inputs[1].data()) {
            let at = index.to_f64() as usize * width;
            for (sum, &d) in d_table.data_mut()[at..at + width].iter_mut().zip(d) {
                *sum += d;
            }
        }
    }

    fn adds_gradients(&self) -> bool {
        true
    }
}

impl<T: Element> Tape<T> {
    /// The rows of `table`, `[rows, ..]`, at the given `indices`: `[indices.., ..]`. An embedding
    /// uses a table of parameters, `[words, width]`. Indices are whole numbers from 0 on, as
    /// [`Tape::indices`] records them; they have no gradient.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// let table = tape.variable([3, 2], &[0.0, 1.0, 10.0, 11.0, 20.0, 21.0])?;
    /// let words = tape.indices([2], &[2, 0])?;
    /// let rows = tape.gather(table, words)?;
    /// assert_eq!(tape.value(rows).data(), [20.0, 21.0, 0.0, 1.0]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if an index is not a whole number below the number of rows, if the result has too many
    /// dimensions, or if a variable is stale.
    pub fn gather(&mut self, table: Var, indices: Var) -> Result<Var, Error> {
        self.check(NAME, &[table, indices])?;
        let rows = self.shape(table).dims().first().copied().unwrap_or(0);
        self.check_indices(NAME, indices, rows)?;
        self.record_single(Gather, &[table, indices])
    }

    /// A leaf of whole numbers, for [`Tape::gather`] and [`Tape::cross_entropy`].
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`, or contains a number that is
    /// not exact in this precision (above 2^24 for `f32`).
    pub fn indices(&mut self, shape: impl Into<Shape>, data: &[usize]) -> Result<Var, Error> {
        const NAME: &str = "indices";
        let shape = shape.into();
        if shape.numel() != data.len() {
            let reason = format!("needs {} elements, got {}", shape.numel(), data.len());
            return Err(ShapeError::new(NAME, &[&shape], reason).into());
        }
        let most = 2.0 / T::EPSILON.to_f64();
        if let Some(index) = data.iter().find(|&&index| index as f64 > most) {
            let reason = format!("{index} is above {most}, up to where {} is exact", T::NAME);
            return Err(Error::invalid(NAME, reason));
        }
        self.constant_with(shape, |to| {
            for (to, &index) in to.iter_mut().zip(data) {
                *to = T::from_f64(index as f64);
            }
        })
    }

    /// Refuses numbers that are not whole numbers below `count`. The variable must not be stale.
    pub(crate) fn check_indices(
        &self,
        name: &'static str,
        indices: Var,
        count: usize,
    ) -> Result<(), Error> {
        self.check_values(name, indices, |x| {
            let fits = x >= 0.0 && x < count as f64 && x.fract() == 0.0;
            (!fits).then(|| format!("is not a whole number from 0 to below {count}"))
        })
    }
}
