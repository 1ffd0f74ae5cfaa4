//! [`Rows`]: inputs and targets as two matrices.

use crate::data::examples::{Examples, Noun, Request, Split};
use crate::error::TrainError;
use vdn_tensor::Element;

/// Examples as rows of two matrices in memory: `inputs` `[rows, width]` and `targets`
/// `[rows, outputs]`.
///
/// ```
/// use vdn_train::data::{Examples, Request, Rows, Split};
/// let rows = Rows::new([2, 1], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], vec![7.0, 8.0, 9.0])?
///     .split_at(2, 1)?;
/// let validation = Examples::<f32>::split(&rows, Split::Validation);
/// assert_eq!(validation, [2]);
/// let mut buffers = Default::default();
/// let batch = rows.fill(&mut buffers, &[1], Request::TARGETS)?;
/// assert_eq!((batch.rows, batch.inputs, batch.targets), (1, &[2.0_f32, 3.0][..], &[8.0][..]));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    widths: [usize; 2],
    inputs: Vec<f64>,
    targets: Vec<f64>,
    splits: [Vec<usize>; 3],
}

/// A batch of [`Rows`].
#[derive(Clone, Copy, Debug)]
pub struct RowBatch<'a, T> {
    /// The number of rows.
    pub rows: usize,
    /// The inputs, `[rows, width]`.
    pub inputs: &'a [T],
    /// The targets, `[rows, outputs]`; empty unless they were requested.
    pub targets: &'a [T],
}

/// Buffers for a [`RowBatch`].
#[derive(Clone, Debug, Default)]
pub struct RowBuffers<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
}

impl Rows {
    /// Creates examples from matrices with these widths, `[inputs, targets]`. All rows are for
    /// training.
    ///
    /// # Errors
    /// Returns an error if:
    ///
    /// * a width is 0
    /// * the matrices do not consist of whole rows or differ in their numbers of rows
    /// * there are no rows
    /// * a number is not finite (with row and column)
    pub fn new(
        widths: [usize; 2],
        inputs: Vec<f64>,
        targets: Vec<f64>,
    ) -> Result<Self, TrainError> {
        let refuse = |reason: String| Err(TrainError::config(format!("rows: {reason}")));
        let [width, outputs] = widths;
        if width == 0 || outputs == 0 {
            return refuse(format!("widths {widths:?}: have to be at least 1"));
        }
        let rows = inputs.len() / width;
        if rows == 0 || inputs.len() != rows * width || targets.len() != rows * outputs {
            let lengths = [inputs.len(), targets.len()];
            return refuse(format!("{lengths:?} numbers are not rows of {widths:?}"));
        }
        for (name, values, width) in [("inputs", &inputs, width), ("targets", &targets, outputs)] {
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                let (row, column, value) = (at / width, at % width, values[at]);
                return refuse(format!("{name}, row {row}, column {column}: {value}"));
            }
        }
        Ok(Self { widths, inputs, targets, splits: [(0..rows).collect(), vec![], vec![]] })
    }

    /// Divides the rows in their order: the first `train` for training, the next `validation` for
    /// validation, the rest for test.
    ///
    /// # Errors
    /// Returns an error if there are not enough rows or if no row is for training.
    pub fn split_at(mut self, train: usize, validation: usize) -> Result<Self, TrainError> {
        let rows = self.len();
        if train == 0 || train.saturating_add(validation) > rows {
            let reason = format!("{rows} rows do not divide into {train} and {validation}");
            return Err(TrainError::config(format!("rows: {reason}")));
        }
        let ends = [0, train, train + validation, rows];
        self.splits = [0, 1, 2].map(|i| (ends[i]..ends[i + 1]).collect());
        Ok(self)
    }

    /// Divides the rows by their numbers into training, validation and test rows, in the given
    /// order. A row may be in several parts or in none.
    ///
    /// ```
    /// use vdn_train::data::{Examples, Rows, Split};
    /// let rows = Rows::new([1, 1], vec![0.0, 1.0, 2.0], vec![0.0; 3])?;
    /// let rows = rows.with_splits([vec![2, 0], vec![], vec![1]])?;
    /// assert_eq!(Examples::<f32>::split(&rows, Split::Train), [2, 0]);
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if a row does not exist or if no row is for training.
    pub fn with_splits(mut self, splits: [Vec<usize>; 3]) -> Result<Self, TrainError> {
        let rows = self.len();
        if let Some(row) = splits.iter().flatten().find(|&&row| row >= rows) {
            return Err(TrainError::config(format!("rows: there is no row {row}, only {rows}")));
        }
        if splits[0].is_empty() {
            return Err(TrainError::config("rows: none is left to train on"));
        }
        self.splits = splits;
        Ok(self)
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.len() / self.widths[0]
    }

    /// Whether there are no rows; never true, because rows are required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The widths of the inputs and of the targets.
    #[must_use]
    pub fn widths(&self) -> [usize; 2] {
        self.widths
    }
}

impl<T: Element> Examples<T> for Rows {
    type Index = usize;
    type Buffers = RowBuffers<T>;
    type Batch<'a> = RowBatch<'a, T>;

    const NOUN: Noun = Noun::ROW;

    fn split(&self, split: Split) -> &[usize] {
        &self.splits[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut RowBuffers<T>,
        examples: &[usize],
        request: Request,
    ) -> Result<RowBatch<'a, T>, TrainError> {
        if request.predecessors || request.lag > 0 {
            return Err(TrainError::config("rows have no order: nothing comes before a row"));
        }
        let [width, outputs] = self.widths;
        let RowBuffers { inputs, targets } = buffers;
        inputs.clear();
        targets.clear();
        for &row in examples {
            let Some(own) = self.inputs.get(row * width..(row + 1) * width) else {
                let rows = self.len();
                return Err(TrainError::config(format!("row {row} of {rows} rows")));
            };
            inputs.extend(own.iter().map(|&x| T::from_f64(x)));
            if request.targets {
                let own = &self.targets[row * outputs..(row + 1) * outputs];
                targets.extend(own.iter().map(|&x| T::from_f64(x)));
            }
        }
        Ok(RowBatch { rows: examples.len(), inputs, targets })
    }
}
