//! The division of rows: by shares, or by a file of published splits.

use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::path::Path;
use vdn_model::core::streams::ROW_SPLITS;
use vdn_tensor::noise::{NoiseKey, NoiseRng};
use vdn_train::TrainError;
use vdn_train::data::{DelimitedFile, FileForm, Limits};

/// The rows for training, validation and test.
pub type Parts = [Vec<usize>; 3];

/// Divides rows into training and validation rows, in an order that depends on `seed` and `split`.
/// The number of validation rows is rounded; each part has at least one row.
///
/// # Errors
/// Returns an error for fewer than two rows.
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

/// Divides `rows` rows into training rows and a share of test rows, in an order that depends on
/// `seed`. Each part has at least one row.
#[must_use]
pub fn hold_out(rows: usize, share: f64, seed: u64) -> [Vec<usize>; 2] {
    let mut all: Vec<usize> = (0..rows).collect();
    all.shuffle(&mut NoiseRng::new(NoiseKey::new(seed, ROW_SPLITS, u32::MAX)));
    let held = ((share * rows as f64).round() as usize).clamp(1, rows.saturating_sub(1).max(1));
    let rest = all.split_off(held.min(rows));
    [rest, all]
}

/// Reads published splits from a file with the columns `split` and `test_rows`.
///
/// Each line has the number of a split (from 0, without gaps) and the rows of its test part,
/// counted from 0 and separated by blanks. All other rows of the table are for training. The result
/// is ordered by the numbers of the splits, whatever the order of the lines is.
///
/// # Errors
/// Returns an error if:
///
/// * the file cannot be read
/// * a number is missing or occurs twice
/// * a cell is not a list of rows (with its line)
/// * a row does not exist in the table or is named twice
/// * a split leaves no row for training
/// * there are no splits
pub fn read_splits(path: &Path, rows: usize) -> Result<Vec<Vec<usize>>, TrainError> {
    let form = FileForm { delimiter: Some(b','), ..FileForm::default() };
    let mut file = DelimitedFile::open(path, form, Limits::default())?;
    let [number, column] = [file.column("split")?, file.column("test_rows")?];
    let mut splits: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    while file.next_row()? {
        let text = String::from_utf8_lossy(file.cell(column)).into_owned();
        let line = file.row_line();
        let refuse = |reason: String| {
            Err(TrainError::format(path, format!("line {line}, column test_rows: {reason}")))
        };
        let split = String::from_utf8_lossy(file.cell(number)).trim().to_owned();
        let Ok(split) = split.parse::<usize>() else {
            let reason = format!("line {line}, column split: {split:?} is not a number from 0");
            return Err(TrainError::format(path, reason));
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
        if splits.insert(split, test).is_some() {
            let reason = format!("line {line}, column split: {split} is there twice");
            return Err(TrainError::format(path, reason));
        }
    }
    if splits.is_empty() {
        return Err(TrainError::format(path, "holds no split"));
    }
    if let Some(missing) = (0..splits.len()).find(|number| !splits.contains_key(number)) {
        let reason = format!("column split: there is no split {missing}; they count from 0");
        return Err(TrainError::format(path, reason));
    }
    Ok(splits.into_values().collect())
}

/// The rows that are not in `test`.
#[must_use]
pub fn others(rows: usize, test: &[usize]) -> Vec<usize> {
    let mut is_test = vec![false; rows];
    test.iter().for_each(|&row| is_test[row] = true);
    (0..rows).filter(|&row| !is_test[row]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(text: &str) -> Result<Vec<Vec<usize>>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("splits.csv");
        std::fs::write(&path, text).unwrap();
        read_splits(&path, 10).map_err(|error| error.to_string())
    }

    #[test]
    fn splits_have_the_numbers_that_the_file_gives_them() {
        let found = splits("split,test_rows\n1,3 4\n0,5\n2,0 9\n").unwrap();
        assert_eq!(found, [vec![5], vec![3, 4], vec![0, 9]]);
        let refused = [
            ("split,test_rows\n0,1\n0,2\n", "0 is there twice"),
            ("split,test_rows\n0,1\n2,2\n", "there is no split 1"),
            ("split,test_rows\na,1\n", "\"a\" is not a number from 0"),
            ("test_rows\n1\n", "split"),
            ("split,test_rows\n0,10\n", "there is no row 10"),
        ];
        for (text, reason) in refused {
            let error = splits(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
