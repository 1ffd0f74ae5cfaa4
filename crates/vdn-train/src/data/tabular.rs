//! Tabular regression data: features first, target columns last.

use std::path::Path;

use crate::data::scaling::Scaler;
use crate::data::table::{DateColumn, Table, TableOptions};
use crate::error::data::DataError;

/// Rows of a table divided for training, validation and test, each in the permutation's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSplit {
    /// Rows to fit parameters to.
    pub train: Vec<usize>,
    /// Rows to choose by.
    pub validation: Vec<usize>,
    /// Rows to report on.
    pub test: Vec<usize>,
}

impl RowSplit {
    /// Of `n` rows in the order of `permutation`: the first `⌊7n/10⌋` for training, those up to
    /// `⌊8n/10⌋` for validation, the rest for test.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] when `permutation` does not hold each of `0 .. n` once;
    /// [`DataError::InvalidOption`] when a part would be empty.
    pub fn seventy_ten_twenty(permutation: &[usize]) -> Result<Self, DataError> {
        let n = permutation.len();
        Self::at(permutation, 7 * n / 10, 8 * n / 10, false)
    }

    /// The literature's 90/10 split: of `n` rows in the order of `permutation`, the first
    /// `0.9 n` (rounded, halves up) for training, the rest for test. The `k`-th of its 20 splits
    /// is this one for the `k`-th permutation.
    ///
    /// The last `validation` of the training rows are set aside to choose by.
    ///
    /// Source: J. M. Hernández-Lobato and R. P. Adams, "Probabilistic Backpropagation for Scalable
    /// Learning of Bayesian Neural Networks", ICML 2015.
    ///
    /// # Errors
    ///
    /// As for [`RowSplit::seventy_ten_twenty`]; here validation may be empty.
    pub fn ninety_ten(permutation: &[usize], validation: usize) -> Result<Self, DataError> {
        let end = (9 * permutation.len() + 5) / 10;
        let Some(start) = end.checked_sub(validation) else {
            let what = format!("{validation} validation rows of {end} training rows");
            return Err(DataError::InvalidOption(what));
        };
        Self::at(permutation, start, end, validation == 0)
    }

    fn at(
        permutation: &[usize],
        validation: usize,
        test: usize,
        without_validation: bool,
    ) -> Result<Self, DataError> {
        check_permutation(permutation)?;
        let split = Self {
            train: permutation[..validation].to_vec(),
            validation: permutation[validation..test].to_vec(),
            test: permutation[test..].to_vec(),
        };
        let lacks_validation = split.validation.is_empty() && !without_validation;
        if split.train.is_empty() || lacks_validation || split.test.is_empty() {
            return Err(DataError::InvalidOption(format!(
                "{} rows leave {} for training, {} for validation and {} for test",
                permutation.len(),
                split.train.len(),
                split.validation.len(),
                split.test.len()
            )));
        }
        Ok(split)
    }
}

/// Each of `0 .. n` once.
fn check_permutation(permutation: &[usize]) -> Result<(), DataError> {
    let n = permutation.len();
    let mut seen = vec![false; n];
    for &row in permutation {
        match seen.get_mut(row) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                let problem = format!("{row} repeats in the permutation or is not below {n}");
                return Err(DataError::Mismatch { op: "row split", problem });
            }
        }
    }
    Ok(())
}

/// Features and targets, standardised when asked to be.
#[derive(Debug, Clone)]
pub struct Tabular {
    table: Table,
    n_targets: usize,
    scaler: Scaler,
}

impl Tabular {
    /// Reads a delimited file with a header, plain or gzip, whose last `n_targets` columns are the
    /// targets. Every column is a number; a missing value is an error.
    ///
    /// # Errors
    ///
    /// Those of [`Table::load`]; [`DataError::Mismatch`] when no feature or no target is left.
    pub fn load(path: impl AsRef<Path>, n_targets: usize) -> Result<Self, DataError> {
        Self::from_table(Table::load(path, &Self::options())?, n_targets)
    }

    /// The same from content in memory; `file` names it in messages.
    ///
    /// # Errors
    ///
    /// As for [`Tabular::load`].
    pub fn from_bytes(file: &str, bytes: &[u8], n_targets: usize) -> Result<Self, DataError> {
        Self::from_table(Table::from_bytes(file, bytes, &Self::options())?, n_targets)
    }

    /// A table whose last `n_targets` columns are the targets.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] when no feature or no target is left.
    pub fn from_table(table: Table, n_targets: usize) -> Result<Self, DataError> {
        let columns = table.names.len();
        if n_targets == 0 || n_targets >= columns {
            let problem = format!("{n_targets} targets of {columns} columns");
            return Err(DataError::Mismatch { op: "tabular", problem });
        }
        Ok(Self { scaler: Scaler::identity(columns), table, n_targets })
    }

    fn options() -> TableOptions {
        TableOptions { date: DateColumn::None, ..TableOptions::default() }
    }

    /// Standardises every column by its mean and standard deviation over the rows `train`.
    /// The targets stay as they are when `targets` is false (class labels).
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] when it has been done before or a row does not exist;
    /// [`DataError::BadSeries`] when there is no row.
    pub fn standardise(&mut self, train: &[usize], targets: bool) -> Result<(), DataError> {
        const OP: &str = "standardise";
        let (rows, columns) = (self.rows(), self.table.names.len());
        if self.scaler != Scaler::identity(columns) {
            let problem = "the columns are standardised already".to_owned();
            return Err(DataError::Mismatch { op: OP, problem });
        }
        if let Some(row) = train.iter().find(|&&row| row >= rows) {
            let problem = format!("there is no row {row}, only {rows}");
            return Err(DataError::Mismatch { op: OP, problem });
        }
        let fitted = if targets { columns } else { self.n_features() };
        let table = &mut self.table;
        let scaler = Scaler::fit(&table.names, |column| {
            let values = &table.columns[column];
            train.iter().map(move |&row| &values[row])
        })?;
        self.scaler = scaler.keep(fitted);
        for (column, values) in table.columns.iter_mut().enumerate() {
            self.scaler.transform_in_place(column, values);
        }
        Ok(())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.table.rows()
    }

    /// Number of feature columns.
    pub fn n_features(&self) -> usize {
        self.table.names.len() - self.n_targets
    }

    /// Number of target columns.
    pub fn n_targets(&self) -> usize {
        self.n_targets
    }

    /// The columns, features before targets, standardised once [`Tabular::standardise`] was called.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What the columns were standardised with; the identity before.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Copies rows into a batch: `x` is `[rows, n_features]`, `y` `[rows, n_targets]`, row-major.
    /// Nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] when a buffer has another size or a row does not exist.
    pub fn fill_batch<T>(
        &self,
        rows: &[usize],
        x: &mut [T],
        y: &mut [T],
        convert: impl Fn(f64) -> T,
    ) -> Result<(), DataError> {
        const OP: &str = "fill_batch";
        let (count, features) = (rows.len(), self.n_features());
        let sizes = [count.checked_mul(features), count.checked_mul(self.n_targets)];
        if sizes != [Some(x.len()), Some(y.len())] {
            let problem = format!(
                "buffers of {} and {} elements for [{count}, {features}] and [{count}, {}]",
                x.len(),
                y.len(),
                self.n_targets
            );
            return Err(DataError::Mismatch { op: OP, problem });
        }
        if let Some(row) = rows.iter().find(|&&row| row >= self.rows()) {
            let problem = format!("there is no row {row}, only {}", self.rows());
            return Err(DataError::Mismatch { op: OP, problem });
        }
        let (inputs, targets) = self.table.columns.split_at(features);
        for (columns, out) in [(inputs, x), (targets, y)] {
            for (&row, out) in rows.iter().zip(out.chunks_exact_mut(columns.len())) {
                for (out, column) in out.iter_mut().zip(columns) {
                    *out = convert(column[row]);
                }
            }
        }
        Ok(())
    }
}
