//! How rows are divided: by shares, or by a file of published splits.

use rand::seq::SliceRandom;
use std::path::Path;
use vdn_model::streams::ROW_SPLITS;
use vdn_tensor::noise::{NoiseKey, NoiseRng};
use vdn_train::TrainError;
use vdn_train::data::{DelimitedFile, FileForm, Limits};

/// Rows for training, validation and test.
pub type Parts = [Vec<usize>; 3];

/// Divides the rows that may train into training and validation, in an order that `seed` and
/// `split` fix. The share of validation is rounded; at least one row of each is left.
///
/// # Errors
/// Fewer than two rows.
pub fn divide(
    mut rows: Vec<usize>,
    test: Vec<usize>,
    share: f64,
    seed: u64,
    split: usize,
) -> Result<Parts, TrainError> {
    if rows.len() < 2 {
        let count = rows.len();
        let reason =
            format!("{count} training rows are too few to choose an epoch by some of them");
        return Err(TrainError::config(reason));
    }
    rows.sort_unstable();
    rows.shuffle(&mut NoiseRng::new(NoiseKey::new(seed, ROW_SPLITS, split as u32)));
    let held = (share * rows.len() as f64).round() as usize;
    let train = rows.split_off(held.clamp(1, rows.len() - 1));
    Ok([train, rows, test])
}

/// A share of `rows` rows for the test, in an order that `seed` fixes; the rest trains. Both are at
/// least one row.
#[must_use]
pub fn hold_out(rows: usize, share: f64, seed: u64) -> [Vec<usize>; 2] {
    let mut all: Vec<usize> = (0..rows).collect();
    all.shuffle(&mut NoiseRng::new(NoiseKey::new(seed, ROW_SPLITS, u32::MAX)));
    let held = ((share * rows as f64).round() as usize).clamp(1, rows.saturating_sub(1).max(1));
    let rest = all.split_off(held.min(rows));
    [rest, all]
}

/// Reads published splits: a file with the columns `split` and `test_rows`, whose rows hold the
/// number of a split and the rows of its test part, counted from 0 and separated by blanks. All
/// other rows of the table train.
///
/// # Errors
/// The file cannot be read; a cell that is no list of rows, with its line; a row of the table that
/// is not there, or is named twice; a split that leaves nothing to train on; no splits.
pub fn read_splits(path: &Path, rows: usize) -> Result<Vec<Vec<usize>>, TrainError> {
    let form = FileForm { delimiter: Some(b','), ..FileForm::default() };
    let mut file = DelimitedFile::open(path, form, Limits::default())?;
    let column = file.column("test_rows")?;
    let mut splits = Vec::new();
    while file.next_row()? {
        let text = String::from_utf8_lossy(file.cell(column)).into_owned();
        let line = file.row_line();
        let refuse = |reason: String| {
            Err(TrainError::format(path, format!("line {line}, column test_rows: {reason}")))
        };
        let mut test = Vec::new();
        let mut seen = vec![false; rows];
        for word in text.split_whitespace() {
            match word.parse::<usize>() {
                Ok(row) if row >= rows => {
                    return refuse(format!("there is no row {row}: the table has {rows}"));
                }
                Ok(row) if seen[row] => return refuse(format!("row {row} is named twice")),
                Ok(row) => {
                    seen[row] = true;
                    test.push(row);
                }
                Err(_) => return refuse(format!("{word:?} is not the number of a row")),
            }
        }
        if test.is_empty() || rows - test.len() < 2 {
            let train = rows - test.len();
            return refuse(format!("{} test rows leave {train} for training", test.len()));
        }
        splits.push(test);
    }
    match splits.is_empty() {
        true => Err(TrainError::format(path, "holds no split")),
        false => Ok(splits),
    }
}

/// The rows that are not in `test`.
#[must_use]
pub fn others(rows: usize, test: &[usize]) -> Vec<usize> {
    let mut is_test = vec![false; rows];
    test.iter().for_each(|&row| is_test[row] = true);
    (0..rows).filter(|&row| !is_test[row]).collect()
}
