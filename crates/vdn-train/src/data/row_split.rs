//! [`RowSplit`]: rows divided into training, validation and test rows.

use crate::error::data::DataError;

/// The rows of a table, divided into training, validation and test rows, in the order of a
/// permutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSplit {
    /// The rows to which parameters are fitted.
    pub train: Vec<usize>,
    /// The rows by which models are selected.
    pub validation: Vec<usize>,
    /// The rows on which results are reported.
    pub test: Vec<usize>,
}

impl RowSplit {
    /// Divides `n` rows in the order of `permutation`: the first `⌊7n/10⌋` for training, those up
    /// to `⌊8n/10⌋` for validation, the rest for test.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if `permutation` does not have each of `0 .. n` once;
    /// [`DataError::InvalidOption`] if a part would be empty.
    pub fn seventy_ten_twenty(permutation: &[usize]) -> Result<Self, DataError> {
        let n = permutation.len();
        Self::at(permutation, 7 * n / 10, 8 * n / 10, false)
    }

    /// The 90/10 split of the literature: of `n` rows in the order of `permutation`, the first
    /// `0.9 n` (rounded, halves up) are for training and the rest for test. The `k`-th of the 20
    /// splits of a data set is this one for the `k`-th permutation.
    ///
    /// The last `validation` of the training rows are set aside for validation.
    ///
    /// Source: J. M. Hernández-Lobato and R. P. Adams, "Probabilistic Backpropagation for Scalable
    /// Learning of Bayesian Neural Networks", ICML 2015.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`RowSplit::seventy_ten_twenty`], except that validation may be empty.
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

/// Checks that each of `0 .. n` is there once.
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
