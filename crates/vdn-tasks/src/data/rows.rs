//! [`TaskRows`]: the inputs and targets of a task, in memory.

use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Noun, Request, RowBatch, Split};

/// The inputs of all rows, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Pixels as bytes; the input is the byte divided by 255.
    Bytes(Vec<u8>),
}

impl Inputs {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// Rows with inputs and targets, divided into training, validation and test.
///
/// ```
/// use vdn_tasks::data::{Inputs, TaskRows};
/// use vdn_train::data::{Examples, Request, Split};
/// let inputs = Inputs::Bytes(vec![0, 255, 51, 102]);
/// let rows = TaskRows::new(2, inputs, 1, vec![3.0, 4.0])?.with_splits([vec![1], vec![], vec![0]])?;
/// let mut buffers = Default::default();
/// let train = Examples::<f64>::split(&rows, Split::Train);
/// let batch = Examples::<f64>::fill(&rows, &mut buffers, train, Request::TARGETS)?;
/// assert_eq!((batch.inputs, batch.targets), (&[0.2, 0.4][..], &[4.0][..]));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRows {
    width: usize,
    inputs: Inputs,
    columns: usize,
    targets: Vec<f64>,
    splits: [Vec<usize>; 3],
}

/// Reusable buffers for a batch of [`TaskRows`].
#[derive(Clone, Debug, Default)]
pub struct TaskBuffers<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
}

impl TaskRows {
    /// Creates rows of `width` inputs and `columns` targets, all of them for training. With 0
    /// columns the rows are for prediction.
    ///
    /// # Errors
    /// Returns an error if the width is 0, if the matrices do not consist of whole rows or differ
    /// in their numbers of rows, or if there are no rows.
    pub fn new(
        width: usize,
        inputs: Inputs,
        columns: usize,
        targets: Vec<f64>,
    ) -> Result<Self, TrainError> {
        let rows = inputs.len().checked_div(width).unwrap_or(0);
        if rows == 0 || inputs.len() != rows * width || targets.len() != rows * columns {
            let lengths = [inputs.len(), targets.len()];
            let reason =
                format!("rows: {lengths:?} numbers are not rows of {:?}", [width, columns]);
            return Err(TrainError::config(reason));
        }
        let splits = [(0..rows).collect(), Vec::new(), Vec::new()];
        Ok(Self { width, inputs, columns, targets, splits })
    }

    /// The same rows with another division.
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
        self.inputs.len() / self.width
    }

    /// Whether there are no rows; never true, because rows are required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.len() == 0
    }

    /// The number of inputs per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of bytes of one input in memory.
    pub(crate) fn input_bytes(&self) -> usize {
        match self.inputs {
            Inputs::Numbers(_) => size_of::<f64>(),
            Inputs::Bytes(_) => size_of::<u8>(),
        }
    }

    /// The targets of a row in the network's form, `[columns]`.
    #[must_use]
    pub fn targets(&self, row: usize) -> &[f64] {
        &self.targets[row * self.columns..][..self.columns]
    }

    /// The rows of a split.
    #[must_use]
    pub fn part(&self, split: Split) -> &[usize] {
        &self.splits[split as usize]
    }
}

impl<T: Element> Examples<T> for TaskRows {
    type Index = usize;
    type Buffers = TaskBuffers<T>;
    type Batch<'a> = RowBatch<'a, T>;

    const NOUN: Noun = Noun::ROW;

    fn split(&self, split: Split) -> &[usize] {
        self.part(split)
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut TaskBuffers<T>,
        examples: &[usize],
        request: Request,
    ) -> Result<RowBatch<'a, T>, TrainError> {
        if request.predecessors || request.lag > 0 {
            return Err(TrainError::config("rows have no order: nothing comes before a row"));
        }
        let TaskBuffers { inputs, targets } = buffers;
        inputs.clear();
        targets.clear();
        let (width, rows) = (self.width, self.len());
        for &row in examples {
            if row >= rows {
                return Err(TrainError::config(format!("row {row} of {rows} rows")));
            }
            let at = row * width..(row + 1) * width;
            match &self.inputs {
                Inputs::Numbers(all) => inputs.extend(all[at].iter().map(|&x| T::from_f64(x))),
                Inputs::Bytes(all) => {
                    inputs.extend(all[at].iter().map(|&x| T::from_f64(f64::from(x) / 255.0)));
                }
            }
            if request.targets {
                targets.extend(self.targets(row).iter().map(|&y| T::from_f64(y)));
            }
        }
        Ok(RowBatch { rows: examples.len(), inputs, targets })
    }
}
