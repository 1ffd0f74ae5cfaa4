//! Checks of a file's first row, which has to contain the names of the columns.
//!
//! A file without a header loses its first row: the numbers of this row are read as names. A table
//! that is turned on its side has times as the names of its columns, and would be read as one
//! series per time. Such files could be read without an error, so the names are checked.

use crate::data::read::sample::Sample;
use crate::data::time::DateForm;
use vdn_train::data::{Cell, DataError, DelimitedFile};

/// The least number of columns with times as names in a table that is turned on its side.
const FEW: usize = 3;

/// Rejects a file if all names in its first row are numbers, and some have a fraction: this row is
/// data, not a header.
///
/// Whole numbers that count the columns from 0 or 1 are names. Other whole numbers may be data;
/// then the result is a note.
pub(super) fn check(file: &DelimitedFile<'_>) -> Result<Option<String>, DataError> {
    let number = |name: &String| match file.numbers().parse(name.as_bytes()) {
        Cell::Number(number) => Some(number),
        Cell::Missing | Cell::Bad => None,
    };
    let Some(numbers) = file.names().iter().map(number).collect::<Option<Vec<f64>>>() else {
        return Ok(None);
    };
    let head = &file.names()[0];
    if numbers.iter().all(|number| number.fract() == 0.0) {
        let counts = [0.0, 1.0].contains(&numbers[0])
            && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
        let note = || {
            format!(
                "the first row begins with {head:?}, and its numbers are read as the names of \
                 columns: a file without a header needs one"
            )
        };
        return Ok((!counts).then(note));
    }
    let problem = format!("there is no header: the first row begins with {head:?}");
    Err(DataError::Format { file: file.file().to_owned(), problem })
}

/// Rejects a table in which the columns of numbers have times as names: every row of it is a
/// series. The caller has found no column of times.
pub(super) fn refuse_times_as_names(
    file: &DelimitedFile<'_>,
    samples: &[Sample<'_>],
) -> Result<(), DataError> {
    let numeric = samples.iter().filter(|sample| sample.is_numeric());
    let names: Vec<&str> = numeric.map(|sample| sample.name.trim()).collect();
    if names.len() < FEW || !samples.iter().any(Sample::is_text) {
        return Ok(());
    }
    let years: Option<Vec<i64>> = names
        .iter()
        .map(|name| name.parse().ok().filter(|year| name.len() == 4 && (1500..2200).contains(year)))
        .collect();
    let are_years =
        years.is_some_and(|years| years.windows(2).all(|pair| (pair[1] - pair[0]).abs() == 1));
    let all = |form: &DateForm| names.iter().all(|name| form.parse(name).is_some());
    let is_number = |name: &&str| name.parse::<f64>().is_ok();
    let are_dates = || !names.iter().any(is_number) && DateForm::of_texts(&names).iter().any(all);
    if !are_years && !are_dates() {
        return Ok(());
    }
    let (first, second) = (names[0], names[1]);
    Err(DataError::Format {
        file: file.file().to_owned(),
        problem: format!(
            "the columns are named by times ({first:?}, {second:?}, ...), and each row is a \
             series: turn the table, so that each row is a time, or bring it to long form"
        ),
    })
}
