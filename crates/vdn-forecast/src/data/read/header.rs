//! Checks of a file's first row: whether it names columns.

use crate::data::read::sample::Sample;
use crate::data::time::DateForm;
use vdn_train::data::{Cell, DataError, DelimitedFile};

/// The number of columns that have to be named by times in a table that is turned on its side.
const FEW: usize = 3;

/// Rejects a file whose first row is all numbers, some with a fraction: this row is data, not a
/// header. Returns a note if its whole numbers may be data, because they do not count from 0 or 1.
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

/// Rejects a table without times in rows whose columns of numbers are named by times: every row is
/// a series.
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
